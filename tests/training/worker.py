"""Started by the tests in a process of its own: one training, whose last weights go to a file.

python worker.py tests-folder settings.json
"""

import json
import os
import signal
import sys

import torch

torch.set_num_threads(1)


def main() -> None:
    folder, path = sys.argv[1:]
    sys.path.append(folder)
    from toys import toy_images

    import gendata
    from gendata.training import loop

    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    if "die_in_epoch" in job:
        train_epoch = loop.Run._epoch

        def dying_epoch(self, epoch, stages):
            if epoch == job["die_in_epoch"]:
                self.method.step = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            return train_epoch(self, epoch, stages)

        loop.Run._epoch = dying_epoch
    images = {role: toy_images(role, *numbers) for role, numbers in job["images"].items()}
    common = {**images, "progress": False, "device": "cpu"}
    results = [gendata.train(**{**common, **options}) for options in job["runs"]]
    if os.environ.get("RANK", "0") == "0":
        kept = [
            {"weights": each.network.state_dict(), "history": each.history} for each in results
        ]
        torch.save(kept, job["to"])


if __name__ == "__main__":
    main()
