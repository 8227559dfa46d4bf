"""Filters images by convolutions: blurs, edges, and the same by Fourier transforms.

Kernels of small whole numbers have exact results, which are compared with sums of shifted images
on the CPU; blurs in one step, in two, and by Fourier transforms have to agree.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import torch

    from ..harness import Run, main
    from ..harness.pytorch import device_for, note_memory
else:
    from harness import Run, main
    from harness.pytorch import device_for, note_memory

SOBEL = ((1, 0, -1), (2, 0, -2), (1, 0, -1))
LAPLACE = ((0, 1, 0), (1, -4, 1), (0, 1, 0))
SHARPEN = ((0, -1, 0), (-1, 5, -1), (0, -1, 0))


def work(run: Run) -> None:
    """A round: one batch of images of random size through every filter."""
    import torch

    device = device_for(run)
    for _ in run.rounds():
        generator = torch.Generator().manual_seed(run.rng.getrandbits(32))
        shape = (
            run.rng.randint(1, 6),
            1,
            run.size("side_pixels", 200, 800, power=0.5, least=16),
            run.size("side_pixels", 200, 800, power=0.5, least=16),
        )
        images = torch.randint(0, 256, shape, generator=generator)
        on_device = images.float().to(device)
        for kernel in (SOBEL, LAPLACE, SHARPEN):
            _filter(run, images, on_device, kernel)
        _blur(run, on_device)
        run.count("pixels", images.numel())
    note_memory(run)


def _filter(
    run: Run, images: torch.Tensor, on_device: torch.Tensor, kernel: tuple[tuple[int, ...], ...]
) -> None:
    import torch

    weights = torch.tensor(kernel, dtype=torch.float32, device=on_device.device)[None, None]
    found = torch.nn.functional.conv2d(on_device, weights).cpu().to(torch.int64)
    height, width = found.shape[2:]
    expected = sum(
        images[:, :, row : row + height, column : column + width] * weight
        for row, weights_of_row in enumerate(kernel)
        for column, weight in enumerate(weights_of_row)
    )
    run.check(torch.equal(found, expected), f"the filter {kernel} gives something else")
    run.result(int(found.abs().sum()))


def _blur(run: Run, images: torch.Tensor) -> None:
    """Gaussian, wrapped around at the borders, in three ways."""
    import torch

    radius = run.rng.randint(1, 7)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=torch.float32)
    line = torch.exp(-(offsets**2) / (radius + 0.5) ** 2)
    line = line / line.sum()
    square = line[:, None] * line[None, :]
    padded = torch.nn.functional.pad(images, (radius,) * 4, mode="circular")
    convolve = torch.nn.functional.conv2d
    at_once = convolve(padded, square[None, None])
    in_two = convolve(convolve(padded, line[None, None, None, :]), line[None, None, :, None])
    kernel = torch.zeros(images.shape[2:], device=images.device)
    size = 2 * radius + 1
    kernel[:size, :size] = square
    kernel = kernel.roll((-radius, -radius), (0, 1))
    by_fourier = torch.fft.irfft2(
        torch.fft.rfft2(images) * torch.fft.rfft2(kernel).conj(), s=images.shape[2:]
    )
    for name, other in (("two steps", in_two), ("Fourier transforms", by_fourier)):
        error = (at_once - other).abs().max().item()
        run.check(error < 0.5, f"a blur by {name} is {error:.2f} of 255 off")
        run.value(f"blur_error_{name.replace(' ', '_')}", error)


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
