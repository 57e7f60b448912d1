"""Stage `learn@PROMPT`: transformers trained to transport, all seeds of one prompt at once."""

from pathlib import Path

import typer

from pipeline.params import load_params
from pipeline.stages import run_stage, say, track
from pipeline.synthetic.learn import forget, learn, write_learned

WORK, LIVE, METRICS = Path("work"), Path("work/dvclive"), Path("reports/metrics/learn")


def main(prompt: str) -> None:
    """Write `reports/metrics/learn/PROMPT.json` and `PROMPT_maps.json`."""
    params = load_params(check_paths=False)
    bar = track(f"training on the {prompt} prompt", params.learn.steps)
    metrics, maps = learn(params.learn, prompt, work=WORK, live=LIVE / f"learn-{prompt}", track=bar, say=say)
    write_learned(metrics, maps, METRICS)
    forget(params.learn, prompt, work=WORK)
    say(f"learn: {prompt}: {params.learn.seeds - metrics['n_diverged']} of {params.learn.seeds} seeds trained")


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
