"""The files of deploy/: linted, checked field by field, and their commands read by the command line itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from standin.commands import all_commands

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
SCRIPTS = sorted(DEPLOY.rglob("*.sbatch"))
SHARDED = ("explain", "score")
JOBS = (*SHARDED, "merge")


def linter(name: str) -> str:
    """A linter of the extra `dev`."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; make dev installs it")
    return found


def job(name: str) -> dict:
    return yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())


def pod(name: str) -> dict:
    return job(name)["spec"]["template"]["spec"]


def container(name: str) -> dict:
    (only,) = pod(name)["containers"]
    return only


def read_by_the_command_line(args: list[str]) -> dict[str, object]:
    """The options by name as the command itself understands its arguments; it is not run."""
    name, *rest = args
    return all_commands()[(name,)].make_context(name, rest).params


def sbatch(script: Path) -> dict[str, str]:
    lines = [line for line in script.read_text().splitlines() if line.startswith("#SBATCH ")]
    return {name: value for name, _, value in (line.removeprefix("#SBATCH --").partition("=") for line in lines)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_shellcheck_finds_nothing_in_the_scripts(script: Path):
    done = subprocess.run([linter("shellcheck"), script], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("Containerfile")), ids=lambda p: p.parent.name)
def test_hadolint_finds_nothing_in_the_container_files(file: Path):
    done = subprocess.run([linter("hadolint"), "--no-color", file], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_is_of_this_checkout_and_its_user_is_not_root():
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]

    assert [name for name in copied if not (DEPLOY.parent / name).exists()] == []
    assert {"pyproject.toml", "README.md", "LICENSE", "autointerp", "prompts"} <= set(copied)
    assert [line for line in lines if line.startswith(("USER", "ENTRYPOINT"))] == [
        "USER 1000:1000",
        'ENTRYPOINT ["autointerp"]',
    ]


@pytest.mark.parametrize("name", SHARDED)
def test_each_index_of_a_job_is_one_shard_of_as_many_as_the_job_completes(name: str):
    spec, args = job(name)["spec"], container(name)["args"]
    indices = range(spec["completions"])

    given = [read_by_the_command_line([a.replace("$(JOB_COMPLETION_INDEX)", str(i)) for a in args]) for i in indices]

    assert (job(name)["kind"], job(name)["apiVersion"], spec["completionMode"]) == ("Job", "batch/v1", "Indexed")
    assert [g["shard"] for g in given] == [f"{i}/{len(indices)}" for i in indices]
    assert len({g["log"] for g in given}) == len(indices)
    assert spec["parallelism"] <= spec["completions"]


@pytest.mark.parametrize("name", SHARDED)
def test_a_job_gives_up_on_bad_input_and_not_on_an_evicted_pod(name: str):
    spec = job(name)["spec"]
    first, *by_code = spec["podFailurePolicy"]["rules"]

    assert (first["action"], first["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget"}])
    codes = {rule["action"]: rule["onExitCodes"]["values"] for rule in by_code}
    assert codes == {"FailJob": [2], "FailIndex": [3]}
    assert {rule["onExitCodes"]["containerName"] for rule in by_code} == {container(name)["name"]}
    # Kubernetes takes a failure policy only with this restart policy, and FailIndex only with a limit an index.
    assert pod(name)["restartPolicy"] == "Never"
    assert spec["backoffLimitPerIndex"] > 0


@pytest.mark.parametrize("name", JOBS)
def test_every_pod_runs_as_a_user_who_is_not_root_and_mounts_what_it_names(name: str):
    mounted = {m["name"]: m["mountPath"] for m in container(name)["volumeMounts"]}
    places = [a for a in container(name)["args"] if a.startswith("/")]

    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert container(name)["securityContext"]["allowPrivilegeEscalation"] is False
    assert set(mounted) == {v["name"] for v in pod(name)["volumes"]}
    assert places != []
    assert [p for p in places if not p.startswith(tuple(f"{m}/" for m in mounted.values()))] == []


def test_the_jobs_work_on_one_run():
    explained = read_by_the_command_line(
        [a.replace("$(JOB_COMPLETION_INDEX)", "0") for a in container("explain")["args"]]
    )
    scored = read_by_the_command_line([a.replace("$(JOB_COMPLETION_INDEX)", "0") for a in container("score")["args"]])
    merged = read_by_the_command_line(container("merge")["args"])

    assert explained["run"] == scored["run"] == merged["run"] == "/data/runs/first"


def test_the_array_names_its_tasks_from_0_and_is_told_before_its_time_is_over():
    options = sbatch(DEPLOY / "slurm" / "shards.sbatch")

    assert options["array"].partition("-")[0] == "0"
    assert options["signal"] == "B:TERM@120"
    assert {"requeue", "time", "mem", "cpus-per-task"} <= set(options)
