"""What a run leaves for people: its best weights with their card, its history, samples, and TensorBoard's curves."""

import torch

from sr_model import data, figures, images, weights
from sr_model.training import run_data, run_folder
from sr_model.training.run import Run
from sr_model.training.validation import Result


class Output:
    """Writes into a run's folder. Only the first process of a run has one."""

    def __init__(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only needed here

        self.run = run
        self.board = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.state.step + 1)

    def step(self) -> None:
        """Points on the curves, for the last step."""
        state = self.run.state
        self.board.add_scalar("loss", state.loss, state.step)
        self.board.add_scalar("learning rate", self.run.rate, state.step)
        for name, value in self.run.stepper.terms.items():
            self.board.add_scalar(f"loss/{name}", value, state.step)

    def validated(self, result: Result, better: bool) -> None:
        """A line of history, samples, and the averaged weights where they are the best so far."""
        run, state = self.run, self.run.state
        if better:
            self._keep(result)
        line = {
            "step": state.step,
            "epoch": round(state.step / run.plan.steps_per_epoch, 3),
            "loss": state.loss,
            "lr": run.rate,
            "val_psnr": result.psnr,
            "bicubic_psnr": result.bicubic_psnr,
            "hours": round(state.seconds / 3600, 4),
        }
        if result.distance is not None:
            line["val_distance"] = result.distance
        run_folder.append_history(run.folder, line)
        sheet = figures.sample_sheet(state.averaged, data.evenly(run.validation.pictures, 4))
        images.save(sheet, run.folder / "samples.png")
        self.board.add_image("samples", images.to_tensor(images.from_pil(sheet).pixels)[0], state.step)
        self.board.add_scalar("validation/psnr", result.psnr, state.step)
        self.board.add_scalar("validation/above bicubic", result.psnr - result.bicubic_psnr, state.step)
        self.board.flush()

    def _keep(self, result: Result) -> None:
        """Write the averaged weights, as weights/ takes them."""
        run, state = self.run, self.run.state
        training = {
            "arguments": run.config.for_card(),
            "sets": run_data.sets(run.patches),
            "steps": state.step,
            "hours": round(state.seconds / 3600 + state.earlier.get("hours", 0), 2),
            "precision": "bfloat16" if run.bfloat16 else "float32",
            "torch": torch.__version__,
        }
        if state.earlier:
            training["earlier"] = state.earlier
        metrics = {
            "validation": {
                "pictures": len(run.validation.pictures),
                "psnr": round(result.psnr, 3),
                "bicubic_psnr": round(result.bicubic_psnr, 3),
            }
        }
        weights.save(state.averaged, run.config.preset, run.folder, training, metrics)

    def close(self) -> None:
        """No more points come."""
        self.board.close()
