"""Warm calls of PyTorch tensors, which lie in a simulated GPU's memory: read by the library, and by Python."""

import ctypes
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import allnorm  # noqa: E402
from allnorm import MNNVLQuantType as Quant  # noqa: E402
from allnorm import _known, _library, calls  # noqa: E402
from allnorm._library import library  # noqa: E402

TOKENS, HIDDEN = 3, 64
fused_quant = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant


class OnGpu(torch.Tensor):
    """A tensor of the host, with a copy on the simulated GPU, whose address it gives while a known call is made."""

    def data_ptr(self):
        address = super().data_ptr()
        return next((place.address(address) for place in Place.launching), address)


class Place:
    """A rank alone, one known call of it, and what a call needs."""

    launching = []

    def __init__(self, world):
        self.world, self.workspace = world, world.workspaces[0]
        self.stream, self.launches = world.backend._streams[0], 0
        self.copies = []  # address on the host, bytes, buffer, address on the simulated GPU
        self.input, self.residual = self.tensor(torch.float16), self.tensor(torch.float16)
        self.gamma, self.residual_out = self.tensor(torch.float16, (HIDDEN,)), self.tensor(torch.float16)
        self.codes = self.tensor(torch.float8_e4m3fn)
        for tensor in (self.input, self.residual, self.gamma):
            tensor.copy_(torch.randn(tensor.shape))

    def tensor(self, dtype, shape=(TOKENS, HIDDEN)):
        tensor = torch.zeros(shape).to(dtype).as_subclass(OnGpu)
        buffer = library().get(library().buffer_create, self.world.backend._context, 0, tensor.nbytes)
        address = library().get(library().buffer_data, buffer)
        self.copies.append((tensor.data_ptr(), tensor.nbytes, buffer, address))
        return tensor

    def address(self, wanted):
        found = (there + wanted - here for here, size, _, there in self.copies if here <= wanted < here + size)
        return next(found, wanted)

    def know(self, output_scale):
        call = library().new(_library.FusedCall)
        tensors = (self.input, self.residual, self.gamma, None, self.residual_out, self.codes, None)
        arrays = SimpleNamespace(simulated=None, tensor=lambda array, *_, matrix=True, **__: _library.Tensor(
            array.data_ptr(), *(array.shape if matrix else (1, HIDDEN)), 3 if array.dtype.itemsize == 1 else 1
        ) if array is not None else _library.Tensor())
        call = calls._fused_call(arrays, *tensors[:3], None, *tensors[3:], output_scale, 0, Quant.FP8, False,
                                 allnorm.MNNVLAllreduceFusionStrategy.AUTO, 0.0)
        options = (Quant.FP8, 0, allnorm.MNNVLAllreduceFusionStrategy.AUTO, None, 0.0, False, output_scale.__class__)
        place = SimpleNamespace(handle=self.workspace.handle, device=0, raw_stream=self.current_stream)
        known = _known.KnownCall(place, call, tensors, output_scale, options)
        launch, known.launch = known.launch, lambda *arguments: self.launch(launch, arguments)
        self.workspace.known_calls.append(known)

    def launch(self, launch, arguments):
        for here, size, buffer, _ in self.copies:
            library().buffer_write(buffer, 0, here, size)
        self.launching.append(self)
        try:
            return launch(*arguments)
        finally:
            self.launching.clear()
            library().stream_synchronize(self.world.backend._context, 0, self.stream)
            for here, size, buffer, _ in self.copies:
                library().buffer_read(buffer, 0, here, size)

    def current_stream(self, device):
        assert device == 0
        self.launches += 1
        return self.stream

    def call(self, **others):
        arguments = dict(input=self.input, residual_in=self.residual, gamma=self.gamma, workspace=self.workspace,
                         residual_out=self.residual_out, quant_out=self.codes, output_scale=0.5, quant_type=Quant.FP8)
        results = fused_quant(**(arguments | others))
        self.world.backend.synchronize()
        return results

    def check(self, tokens=TOKENS, scale=0.5):
        """Against the call that is not known, of NumPy's arrays."""
        arrays = [tensor.numpy() for tensor in (self.input[:tokens], self.residual[:tokens], self.gamma)]
        codes, _, rows, _ = fused_quant(*arrays, self.workspace, output_scale=scale, quant_type=Quant.FP8)
        self.world.backend.synchronize()
        np.testing.assert_array_equal(self.codes[:tokens].view(torch.uint8).numpy(), codes.view(np.uint8))
        np.testing.assert_array_equal(self.residual_out[:tokens].numpy(), rows)


def simulated_exchange(place):
    """PyTorch's, whose tensors say that they are on GPU 0."""
    real = _known._python()
    if real is None:
        pytest.skip("this PyTorch has no exchange API")
    view_of = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    def view(tensor, out):
        status = view_of(real.exchange.view)(tensor, out)
        ctypes.c_uint64.from_address(out).value = place.address(ctypes.c_uint64.from_address(out).value)
        ctypes.c_int32.from_address(out + 8).value = 2
        ctypes.c_int32.from_address(out + 12).value = 0
        return status

    def current_stream(kind, device, out):
        ctypes.c_void_p.from_address(out).value = place.current_stream(device)
        return 0

    place.kept = (view_of(view),
                  ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p)(current_stream))
    exchange = _known._ExchangeApi.from_buffer_copy(real.exchange)
    exchange.view, exchange.current_stream = (ctypes.cast(function, ctypes.c_void_p) for function in place.kept)
    return _known._Python(torch.Tensor, exchange)


@pytest.fixture(params=["library", "python"])
def place(request, make_world, monkeypatch):
    place = Place(make_world(1, TOKENS, HIDDEN))
    python = simulated_exchange(place) if request.param == "library" else None
    monkeypatch.setattr(_known, "_python", lambda: python)
    place.know(1.0)
    yield place
    for _, _, buffer, _ in place.copies:
        library().buffer_destroy(buffer)


def test_a_known_call_is_of_any_rows_and_scale(place):
    for tokens, scale in ((TOKENS, 0.5), (1, 0.5), (2, 2.0), (TOKENS, 2.0)):
        rows = slice(0, tokens)
        given = dict(input=place.input[rows], residual_in=place.residual[rows], residual_out=place.residual_out[rows],
                     quant_out=place.codes[rows], output_scale=scale)
        launches = place.launches
        quant_out, scale_out, residual_out, output = place.call(**given)
        assert quant_out is given["quant_out"] and residual_out is given["residual_out"]
        assert scale_out is None and output is None
        assert place.launches == launches + 1
        place.check(tokens, scale)


def test_a_tensor_that_was_changed_in_place_is_seen(place):
    place.call()
    place.input.unsqueeze_(0)
    with pytest.raises(ValueError, match="input.shape"):
        place.call()
    place.input.squeeze_(0).t_()
    with pytest.raises(ValueError, match="input.strides"):
        place.call()
    place.input.t_()
    place.call()
    place.check()
    place.input.resize_(2, HIDDEN)
    with pytest.raises(ValueError, match="residual_in"):
        place.call()
    place.input.resize_(TOKENS, HIDDEN)


@pytest.mark.parametrize("name, change", [
    ("input.strides", lambda place: dict(input=place.input.t().contiguous().t())),
    ("residual_in.shape", lambda place: dict(residual_in=place.residual.view(-1))),
    ("residual_in", lambda place: dict(residual_in=place.residual[:2])),
    ("residual_in.dtype", lambda place: dict(residual_in=place.residual.view(torch.int16))),
    ("residual_in", lambda place: dict(residual_in=None)),
    ("gamma", lambda place: dict(gamma=place.gamma[1:])),
    ("gamma", lambda place: dict(gamma=3)),
    ("gamma", lambda place: dict(gamma=Mock(spec=torch.Tensor))),
    ("quant_out", lambda place: dict(quant_out=place.codes.view(torch.uint8))),
    ("quant_out", lambda place: dict(quant_out=place.codes[:, :32])),
    ("layout_code", lambda place: dict(layout_code=1)),
    ("quant_type", lambda place: dict(quant_type=7)),
    ("strategy", lambda place: dict(strategy=5)),
    ("epsilon", lambda place: dict(epsilon=-1e-3)),
    ("output_scale", lambda place: dict(output_scale="half")),
])
def test_a_wrong_call_is_refused_as_one_that_is_not_known(place, name, change):
    with pytest.raises(ValueError) as known:
        place.call(**change(place))
    place.workspace.known_calls.clear()
    with pytest.raises(ValueError) as unknown:
        place.call(**change(place))
    assert name in str(known.value) or name == "output_scale"
    assert str(known.value) == str(unknown.value)


def test_a_known_call_without_quantization_is_not_one_with_quantization_none(place):
    known = place.workspace.known_calls[0]
    known.options = (Quant.NONE, *known.options[1:])
    with pytest.raises(ValueError, match="quant_type"):
        place.call(quant_type=Quant.NONE)
    assert place.launches == 0


def test_only_numbers_that_stay_as_they_are_are_remembered():
    assert _known.can_be_known((), 0.5, None, 0.0) and _known.can_be_known((), None, 1e-6, 1)
    assert not _known.can_be_known((), 0.5, torch.tensor(1e-6), 0.0)
    assert not _known.can_be_known((), 0.5, None, np.zeros(()))


def test_a_destroyed_workspace_is_refused(place):
    place.workspace.destroy()
    with pytest.raises(ValueError, match="destroyed"):
        place.call()
