"""How well the limiter uses endpoints whose limits nobody states, and how often it is refused; in simulated time.

python benchmarks/limiter.py
"""

import argparse

from figures import stated
from limiter_scenarios import SCENARIOS, refused

WARM = 30.0
"""Seconds that the limiter has to find the limit, before use and refusals are counted."""


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    print("| endpoint | used to 90 % after, s | used from 30 s on | refused from 30 s on | seconds an answer |")
    print("|---|---|---|---|---|")
    for scenario in SCENARIOS:
        logs = [scenario.run(seed) for seed in seeds]
        found = stated([scenario.found_after(log) for log in logs], 0)
        used = stated([scenario.utilisation(log, WARM, scenario.until) for log in logs], 2)
        share = stated([100 * refused(log, WARM, scenario.until) for log in logs])
        latency = stated([log.between(WARM, scenario.until)[2] for log in logs])
        print(f"| {scenario.name} | {found} | {used} | {share} % | {latency} |")


if __name__ == "__main__":
    main()
