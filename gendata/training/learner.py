"""What a method is given to train with: forward passes, gradients and updates.

Everything that depends on processes, precision or batch normalisation is settled here, so that a
method reads like its equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.optim import Optimizer

from gendata.images import Loader
from gendata.models import Network
from gendata.types import Examples, Images, Output

__all__ = ["BATCH_NORM_POLICIES", "Learner"]

BATCH_NORM_POLICIES = ("both", "freeze-real", "freeze")


class Learner:
    """A network in training.

    Args:
        network: maps images uint8 (B, 3, H, W) to an `Output`.
        optimizer: over the network's parameters.
        accelerator: owns device, precision and processes.
        classes: class names in label order.
        loaders: by source name; `Examples.rows` are row numbers of their images.
        images: training sets by source name, the parts of a mixed set too; None for the loaders'.
        batch_norm: "both" (every batch sets and uses its own statistics), "freeze-real" (real
            batches use the running statistics and leave them alone) or "freeze" (all batches do).
        clip: greatest length of an update's gradient; None for no limit.
        show_progress: whether longer preparations show a bar.
        download: whether a method may fetch weights that are not on this machine.

    Attributes:
        network: prepared by accelerate.
        optimizer: prepared by accelerate.
        bare: the network without the processes' wrapper, for evaluation.
        added: modules that a method trains beside the network, by name; a resumed run has them.
        learning_rate: of the updates to come, before a module's own factor.
        device: where everything lives.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        accelerator: Accelerator,
        *,
        classes: Sequence[str],
        loaders: Mapping[str, Loader],
        images: Mapping[str, Images] | None = None,
        batch_norm: str = "both",
        clip: float | None = None,
        show_progress: bool = False,
        download: bool = False,
    ) -> None:
        self.network, self.optimizer = accelerator.prepare(network, optimizer)
        self.bare, self.accelerator, self.device = network, accelerator, accelerator.device
        self.classes, self.loaders = list(classes), loaders
        own = {name: loader.images for name, loader in loaders.items()}
        self.images: Mapping[str, Images] = own if images is None else images
        self.batch_norm, self.clip = batch_norm, clip
        self.show_progress, self.download = show_progress, download
        self.added = nn.ModuleDict()
        self.learning_rate: float = optimizer.param_groups[0]["lr"]
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._sizes = [p.numel() for p in self._parameters]
        self._norms = [
            m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)
        ]
        self._memory: list[Tensor] = []
        self._taken = 0

    @property
    def processes(self) -> int:
        """Number of processes that share each batch."""
        return self.accelerator.num_processes

    @property
    def rank(self) -> int:
        """Which of these processes this is."""
        return self.accelerator.process_index

    def forward(self, examples: Examples, source: str) -> Output:
        """Runs the network on this process's part of a batch; outputs are float32."""
        with self._normalisation_for(source):
            return self.network(examples.images)

    def forward_at(
        self, parameters: Mapping[str, Tensor], examples: Examples, source: str
    ) -> Output:
        """Runs the network with other parameters, by name, in place of its own.

        Its running statistics stay as they are, and the processes' wrapper is passed by: a
        gradient that is taken through here is this process's own.
        """
        buffers = {name: buffer.clone() for name, buffer in self.bare.named_buffers()}
        with self._normalisation_for(source):
            return functional_call(self.bare, {**parameters, **buffers}, (examples.images,))

    @contextmanager
    def _normalisation_for(self, source: str) -> Iterator[None]:
        frozen = self.batch_norm == "freeze" or (
            self.batch_norm == "freeze-real" and source == "real"
        )
        training = [norm for norm in self._norms if frozen and norm.training]
        for norm in training:
            norm.eval()
        try:
            yield
        finally:
            for norm in training:
                norm.train()

    def cross_entropy(self, output: Output, examples: Examples) -> Tensor:
        """Mean cross-entropy over the rows of all processes."""
        return self.mean(
            functional.cross_entropy(output.logits, examples.labels, reduction="none")
        )

    @torch.no_grad()
    def share_correct(self, output: Output, examples: Examples) -> Tensor:
        """Share of a batch that is classified rightly."""
        return self.mean((output.logits.argmax(dim=1) == examples.labels).float())

    def mean(self, values: Tensor) -> Tensor:
        """Weighs one value a row, (B,), so that the processes' average is the mean of all rows.

        A batch need not divide evenly among the processes.
        """
        if self.processes == 1:
            return values.mean()
        rows = torch.tensor(float(len(values)), device=self.device)
        return values.sum() * self.processes / self.accelerator.reduce(rows, "sum")

    def average(self, value: Tensor) -> Tensor:
        """Averages a tensor over the processes."""
        return value if self.processes == 1 else self.accelerator.reduce(value, "mean")

    def joined(self, rows: Tensor) -> Tensor:
        """Joins the rows (B, ...) of all processes, for losses that compare rows.

        A gradient flows into this process's own rows, times the number of processes: each process
        computes the same loss, and their gradients are averaged, not summed.
        """
        if self.processes == 1:
            return rows
        counts = self.accelerator.gather(torch.tensor([len(rows)], device=self.device)).tolist()
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows.detach()
        blocks = list(self.accelerator.gather(padded).split(max(counts)))
        blocks = [block[:count] for block, count in zip(blocks, counts, strict=True)]
        if rows.requires_grad:
            own = rows.view_as(rows)
            own.register_hook(lambda gradient: gradient * self.processes)
            blocks[self.rank] = own
        return torch.cat(blocks)

    def add(self, name: str, module: nn.Module) -> nn.Module:
        """Trains a module of the method's own, such as a discriminator, beside the network.

        Call it in `prepare`. Every update moves the module too, along the gradients that it has
        gathered since the last one, averaged over the processes. It is no part of `gradient`'s
        vector.

        Returns:
            The module, on the device.
        """
        self.added[name] = module.to(self.device)
        self.optimizer.add_param_group({"params": list(module.parameters())})
        return module

    def set_rate_factor(self, module: nn.Module, factor: float) -> None:
        """Lets a module of the network or an added one learn at a multiple of the learning rate.

        0 holds it still. The first call for a module belongs in `prepare`: a resumed run must find
        the same groups in its optimiser.
        """
        chosen = {id(parameter) for parameter in module.parameters()}
        for group in list(self.optimizer.param_groups):
            inside = [p for p in group["params"] if id(p) in chosen]
            if len(inside) == len(group["params"]):
                group["factor"] = factor
            elif inside:
                group["params"] = [p for p in group["params"] if id(p) not in chosen]
                self.optimizer.add_param_group({**group, "params": inside, "factor": factor})

    def gradient(self, loss: Tensor) -> Tensor:
        """Differentiates a loss by all trainable parameters of the network.

        Returns:
            One float32 vector (P,), each parameter's part in the order of its memory, averaged
            over the processes; under fp16 it carries the loss
            scale, the same for every gradient of a step. Its memory is used again after the next
            `apply` or `update`: clone it to keep it.
        """
        self.accelerator.backward(loss)
        flat = self.flat_memory()
        targets, gradients = [], []
        for parameter, part in self._parts(flat):
            if parameter.grad is None:
                part.zero_()
            else:
                targets.append(part)
                gradients.append(parameter.grad)
                parameter.grad = None
        torch._foreach_copy_(targets, gradients)
        return flat

    def flat_memory(self) -> Tensor:
        """Lends a float32 vector (P,) of any content, until the next `apply` or `update`."""
        if self._taken == len(self._memory):
            self._memory.append(torch.empty(sum(self._sizes), device=self.device))
        self._taken += 1
        return self._memory[self._taken - 1]

    def apply(self, gradient: Tensor) -> None:
        """Makes one update along a vector (P,) made of this step's gradients."""
        for parameter, part in self._parts(gradient):
            parameter.grad = part
        self._descend()

    def update(self, loss: Tensor) -> None:
        """Makes one update along the gradient of a loss, without the flat vector."""
        self.accelerator.backward(loss)
        self._descend()

    def set_learning_rate(self, rate: float) -> None:
        """Sets the rate of the updates to come."""
        self.learning_rate = rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)

    def _parts(self, flat: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Pairs each parameter with its part of a flat vector, as a view of its shape and layout.

        A fused optimiser walks through both memories alike and never looks at the strides.
        """
        for parameter, part in zip(self._parameters, flat.split(self._sizes), strict=True):
            yield parameter, part.as_strided(parameter.shape, parameter.stride())

    def _descend(self) -> None:
        for parameter in self.added.parameters():
            if parameter.grad is not None:
                parameter.grad = self.average(parameter.grad)
        if self.clip is not None:
            self.accelerator.clip_grad_norm_(
                [*self._parameters, *self.added.parameters()], self.clip
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._taken = 0
