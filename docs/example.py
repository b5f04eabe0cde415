"""The whole job from Python: `python docs/example.py DUMP RUN MODEL [BASE_URL]`."""

import sys

import autointerp


def main(dump: str, run: str, model: str, base_url: str | None = None) -> None:
    """Explains eight features, scores them, prints what came out, and writes the report."""
    explainer = autointerp.ModelSettings(model=model, base_url=base_url)
    result = autointerp.explain(dump, run, model=explainer, sample=8)
    autointerp.score(run, judge=explainer)

    with autointerp.open_dump(dump) as opened:
        print(opened.features_table().select(["feature", "n_active", "max_activation"]).slice(0, 5).to_pylist())

    explanations = {e.feature: e for e in autointerp.open_run(run).explanations()}
    for s in autointerp.open_run(run).scores():
        if s.status == "scored" and s.scorer == "detection":
            print(f"{s.feature}: {explanations[s.feature].text}  F1 {s.value:.2f} [{s.low:.2f}, {s.high:.2f}]")
    print(f"{result.failed} failed; report: {autointerp.report(run)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
