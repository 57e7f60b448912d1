"""Every study by its name."""

from collections.abc import Callable

from pipeline.params import StudyName
from pipeline.study_file import StudyResult
from pipeline.synthetic.studies import StudySettings, costs, depth, duals, prompt_parts, prompt_size, robustness
from pipeline.synthetic.threads import one_thread

RUNS: dict[StudyName, Callable[[StudySettings], StudyResult]] = {
    "prompt_size": prompt_size.run,
    "prompt_parts": prompt_parts.run,
    "depth": depth.run,
    "duals": duals.run,
    "costs": costs.run,
    "robustness": robustness.run,
}


def run_study(name: StudyName, settings: StudySettings) -> StudyResult:
    """Return what a study found; sums are added on one thread, so the same settings give the same bytes."""
    with one_thread():
        return RUNS[name](settings)
