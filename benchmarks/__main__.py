"""``python -m benchmarks [NAME …] [--quick] [--save]``: run workloads and show what they took."""

from __future__ import annotations

import argparse
import asyncio
import logging
import warnings
from collections.abc import Sequence

from benchmarks.harness.bench import QUICK_ROUNDS, ROUNDS, Bench
from benchmarks.harness.record import RESULTS, save
from benchmarks.harness.report import write_pages
from benchmarks.harness.sampling import Samples
from benchmarks.workloads import WORKLOADS, Workload, find


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line names; all of it by default."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    # Peers of the day use what SQLAlchemy has deprecated; that is theirs to mend.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    for name in options.names or (() if options.pages else WORKLOADS):
        workload = find(name)
        print(f"\n{workload.title}")
        samples = Samples() if options.profile else None
        bench = Bench(quick=options.quick, rounds=rounds, samples=samples)
        asyncio.run(run(workload, bench))
        for peer, reason in bench.absent.items():
            print(f"{peer}: {reason}")
        for fact in bench.facts:
            print(fact)
        if samples is not None:
            samples.show()
        if options.save:
            save(workload, bench)
    if options.save or options.pages:
        write_pages()


async def run(workload: Workload, bench: Bench) -> None:
    """Measure one workload."""
    async with bench:
        await workload.measure(bench)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, help=f"turns of each case; {ROUNDS} by default")
    parser.add_argument("--profile", action="store_true", help="show where agentdb's time goes")
    parser.add_argument("--save", action="store_true", help=f"keep the results in {RESULTS}")
    parser.add_argument("--pages", action="store_true", help="write the pages of kept results anew")
    return parser


if __name__ == "__main__":
    main()
