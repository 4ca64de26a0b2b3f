"""Each rule of a CPU build by itself: facts and wishes in, a choice or a refusal out."""

from dataclasses import replace
from typing import Any

import pytest

from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.machine import (
    Compiler,
    Cpu,
    Disk,
    Driver,
    Gpu,
    Libraries,
    Machine,
    Memory,
    OperatingSystem,
    Python,
    Reachable,
)
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import EnvironmentVariable, ModelOptReading, Release, TorchPin
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Device, Isa, Wishes
from vllm_forge.resolve.compiler import choose_compiler
from vllm_forge.resolve.device import choose_device
from vllm_forge.resolve.isa import SWITCH, choose_isa
from vllm_forge.resolve.jobs import choose_jobs
from vllm_forge.resolve.python import choose_python
from vllm_forge.resolve.room import NEEDED_BYTES, refuse_without_room
from vllm_forge.resolve.size import parse_size
from vllm_forge.resolve.system_packages import choose_system_packages
from vllm_forge.resolve.torch import Target, choose_torch, exact_version

GIB = 1 << 30
UNKNOWN: Sourced[str] = Sourced(None, "not looked for")
NOT_READ = ModelOptReading(*(Sourced(None, "not looked for") for _ in range(10)))
RELEASE = Release(
    version=Sourced("0.10.1", "PKG-INFO:3"),
    python=Sourced("<3.13,>=3.9", "pyproject.toml"),
    torch=(
        TorchPin("build", "==2.7.1", "pyproject.toml:9"),
        TorchPin("cpu", "==2.6.0+cpu", "requirements/cpu.txt:11", 'platform_machine == "x86_64"'),
        TorchPin("cpu", "==2.7.0", "requirements/cpu.txt:12", 'platform_machine == "ppc64le"'),
    ),
    build_requirements=(),
    requirements={},
    targets=(),
    quantization=(),
    modelopt=NOT_READ,
    environment=(EnvironmentVariable(SWITCH, ("cmake/cpu_extension.cmake:78",)),),
)
MACHINE = Machine(
    os=OperatingSystem("debian", "12"),
    cpu=Cpu(arch="x86_64", cores=8, flags=("avx2", "avx512f")),
    memory=Memory(available_bytes=16 * GIB),
    disk=Disk(100 * GIB),
    gpus=(),
    compilers=(Compiler("g++", "12.2.0", "/usr/bin/g++"),),
    pythons=(Python("3.11.2", "/usr/bin/python3.11", headers=True),),
    libraries=Libraries(libnuma=True),
)
X86 = Target("x86_64", "3.11.2")


def facts(decision: Chosen[Any] | Refused) -> str:
    return "; ".join(reason.fact for reason in decision.because)


def refused(decision: object) -> Refused:
    assert isinstance(decision, Refused), decision
    return decision


class TestDevice:
    def test_a_machine_without_gpu_builds_for_its_cpu(self) -> None:
        decision = choose_device(Wishes(), MACHINE)
        assert isinstance(decision, Chosen)
        assert decision.value is Device.CPU

    def test_a_wish_is_followed(self) -> None:
        decision = choose_device(Wishes(device=Device.CUDA), MACHINE)
        assert isinstance(decision, Chosen)
        assert (decision.value, facts(decision)) == (Device.CUDA, "--device cuda")

    @pytest.mark.parametrize("wishes", [Wishes(cuda="12.4"), Wishes(gpu_arch="8.9")])
    def test_a_wish_that_only_cuda_has(self, wishes: Wishes) -> None:
        decision = choose_device(wishes, MACHINE)
        assert isinstance(decision, Chosen)
        assert decision.value is Device.CUDA

    def test_a_gpu_is_built_for_when_its_driver_is_there(self) -> None:
        gpu = replace(MACHINE, gpus=(Gpu("NVIDIA L40S", "8.9"),))
        bare = choose_device(Wishes(), gpu)
        driven = choose_device(Wishes(), replace(gpu, driver=Driver("550.54")))
        assert isinstance(bare, Chosen)
        assert isinstance(driven, Chosen)
        assert (bare.value, driven.value) == (Device.CPU, Device.CUDA)
        assert bare.warnings

    def test_unknown_is_not_none(self) -> None:
        decision = refused(choose_device(Wishes(), replace(MACHINE, gpus=None)))
        assert decision.ways_out == ("name it: --device cpu or --device cuda",)


class TestPython:
    PYTHONS = (
        Python("3.13.0", "/opt/3.13", headers=True),
        Python("3.12.1", "/opt/3.12", headers=False),
        Python("3.11.7", "/opt/3.11", headers=True),
        Python("3.9.1", "/opt/3.9", headers=None),
        Python("3.8.1", "/opt/3.8", headers=True),
    )

    def choose(self, wish: str | None, *pythons: Python) -> Chosen[Python] | Refused:
        machine = replace(MACHINE, pythons=pythons)
        return choose_python(Wishes(python=wish), machine, RELEASE)

    @pytest.mark.parametrize(
        ("wish", "path"),
        [
            (None, "/opt/3.11"),  # 3.12 has no headers
            ("3.12", "/opt/3.12"),
            ("3.9.1", "/opt/3.9"),
            ("/opt/3.12", "/opt/3.12"),
        ],
    )
    def test_the_newest_in_range_with_headers(self, wish: str | None, path: str) -> None:
        decision = self.choose(wish, *self.PYTHONS)
        assert isinstance(decision, Chosen)
        assert decision.value.path == path

    @pytest.mark.parametrize("wish", ["3.13", "3.1", "/opt/3.13", "3.8", "python"])
    def test_outside_the_range(self, wish: str) -> None:
        decision = refused(self.choose(wish, *self.PYTHONS))
        assert "vLLM 0.10.1 allows Python <3.13,>=3.9" in facts(decision)
        assert f"--python {wish}" in facts(decision)
        assert decision.ways_out == ("--python 3.12", "--python 3.11", "--python 3.9")

    def test_none_at_all(self) -> None:
        decision = refused(self.choose(None))
        assert "no Python was found" in facts(decision)
        assert decision.ways_out[0] == "uv python install 3.12"

    def test_an_unknown_range_is_refused(self) -> None:
        release = replace(RELEASE, python=Sourced(None, "looked in pyproject.toml"))
        decision = refused(choose_python(Wishes(), MACHINE, release))
        assert decision.because[0].source == "looked in pyproject.toml"


class TestTorch:
    def test_the_trees_pin_for_the_device_wins_over_the_builds(self) -> None:
        decision = choose_torch(Wishes(), Device.CPU, X86, RELEASE)
        assert isinstance(decision, Chosen)
        assert decision.value == "2.6.0"
        assert "would have compiled against torch==2.7.1" in facts(decision)

    def test_markers_are_judged_for_the_planned_machine(self) -> None:
        decision = choose_torch(Wishes(), Device.CPU, Target("ppc64le", "3.11.2"), RELEASE)
        assert isinstance(decision, Chosen)
        assert decision.value == "2.7.0"

    def test_another_one_is_built_with_a_warning(self) -> None:
        decision = choose_torch(Wishes(torch="2.7.1"), Device.CPU, X86, RELEASE)
        assert isinstance(decision, Chosen)
        assert decision.value == "2.7.1"
        assert decision.warnings == ("vLLM 0.10.1 is tested with torch==2.6.0+cpu, not 2.7.1",)

    def test_the_pinned_one_wished_for_is_no_warning(self) -> None:
        decision = choose_torch(Wishes(torch="2.6.0"), Device.CPU, X86, RELEASE)
        assert isinstance(decision, Chosen)
        assert not decision.warnings

    def test_a_tree_without_a_pin(self) -> None:
        release = replace(RELEASE, torch=())
        assert refused(choose_torch(Wishes(), Device.CPU, X86, release)).ways_out

    @pytest.mark.parametrize(
        ("specifier", "version"), [("==2.6.0+cpu", "2.6.0"), (">=2.6", None), ("", None)]
    )
    def test_only_an_exact_pin_is_a_version(self, specifier: str, version: str | None) -> None:
        assert exact_version(TorchPin("cpu", specifier, "a")) == version


class TestCompiler:
    def choose(self, *compilers: Compiler, newest: str | None = None) -> Chosen[Compiler] | Refused:
        machine = replace(MACHINE, compilers=compilers)
        return choose_compiler(machine, RELEASE, Device.CPU, newest=newest)

    def test_the_plain_name_before_a_newer_one(self) -> None:
        decision = self.choose(
            Compiler("g++-13", "13.1.0", "/usr/bin/g++-13"),
            Compiler("g++", "12.2.0", "/usr/bin/g++"),
            Compiler("clang++", "19.0.0", "/usr/bin/clang++"),
        )
        assert isinstance(decision, Chosen)
        assert decision.value.path == "/usr/bin/g++"

    def test_a_cap_leaves_the_newest_below_it(self) -> None:
        decision = self.choose(
            Compiler("g++", "14.2.0", "/usr/bin/g++"),
            Compiler("g++-12", "12.3.0", "/usr/bin/g++-12"),
            Compiler("g++-13", "13.2.0", "/usr/bin/g++-13"),
            newest="13",
        )
        assert isinstance(decision, Chosen)
        assert decision.value.name == "g++-13"

    @pytest.mark.parametrize("version", ["8.5.0", "7.5.0"])
    def test_too_old(self, version: str) -> None:
        decision = refused(self.choose(Compiler("g++", version, "/usr/bin/g++")))
        assert f"found: /usr/bin/g++ {version}" in facts(decision)
        assert decision.ways_out == ("apt-get install g++",)

    def test_older_than_the_tree_asks(self) -> None:
        release = replace(RELEASE, cpu_gcc_floor=Sourced("12.3", "cmake/cpu_extension.cmake:20"))
        decision = refused(choose_compiler(MACHINE, release, Device.CPU))
        assert "at least g++ 12.3" in facts(decision)
        assert decision.because[0].source == "cmake/cpu_extension.cmake:20"
        assert decision.ways_out == ("apt-get install g++-12",)

    def test_only_a_package_that_the_distribution_has_is_named(self) -> None:
        """Debian 12 has g++ 11 and 12: g++-15 is allowed and cannot be installed there."""
        release = replace(RELEASE, cpu_gcc_floor=Sourced("13", "CMakeLists.txt:1692"))
        for offered, ways in [
            ((11, 12), ()),
            ((11, 12, 13, 14), ("apt-get install g++-14",)),
            ((12, 13, 16), ("apt-get install g++-13",)),
        ]:
            machine = replace(MACHINE, offered_gcc=offered)
            decision = refused(choose_compiler(machine, release, Device.CPU, newest="15"))
            assert decision.ways_out == ways
            assert f"this distribution has g++ {offered[0]}, " in facts(decision)

    def test_none(self) -> None:
        assert "found: no g++" in facts(refused(self.choose()))


class TestIsa:
    def choose(
        self, wish: Isa = Isa.AUTO, *, flags: tuple[str, ...] | None, host: bool | None = None
    ) -> Chosen[Isa] | Refused:
        cpu = replace(MACHINE.cpu, flags=flags)
        machine = replace(MACHINE, cpu=cpu, reachable=Reachable(code_host=host))
        return choose_isa(Wishes(isa=wish), machine, RELEASE)

    @pytest.mark.parametrize(
        ("flags", "host", "isa", "warned"),
        [
            (("avx2",), None, Isa.AVX2, False),
            (("avx2", "avx512f"), True, Isa.AVX512, False),
            (("avx2", "avx512f"), False, Isa.AVX2, True),
            (("avx2", "avx512f"), None, Isa.AVX2, True),
        ],
    )
    def test_avx512_where_what_it_fetches_can_be_had(
        self, flags: tuple[str, ...], *, host: bool | None, isa: Isa, warned: bool
    ) -> None:
        decision = self.choose(flags=flags, host=host)
        assert isinstance(decision, Chosen)
        assert (decision.value, bool(decision.warnings)) == (isa, warned)

    def test_a_wish_for_what_the_cpu_has_not(self) -> None:
        assert "no avx512f" in facts(refused(self.choose(Isa.AVX512, flags=("avx2",))))

    def test_unknown_flags(self) -> None:
        refused(self.choose(flags=None))

    def test_a_tree_that_always_fetches(self) -> None:
        release = replace(RELEASE, environment=())
        machine = replace(MACHINE, reachable=Reachable(code_host=False))
        decision = refused(choose_isa(Wishes(), machine, release))
        assert "always fetches oneDNN" in facts(decision)
        assert len(decision.ways_out) == 2


class TestJobs:
    def choose(
        self, memory: Memory = MACHINE.memory, *, wish: int | None = None, cap: int | None = None
    ) -> Chosen[int] | Refused:
        machine = replace(MACHINE, cpu=Cpu(cores=8), memory=memory)
        wishes = Wishes(jobs=wish)
        return choose_jobs(wishes, machine, bytes_per_job=2 * GIB, memory_cap=cap)

    @pytest.mark.parametrize(
        ("memory", "cap", "jobs"),
        [
            (Memory(), None, 8),
            (Memory(available_bytes=64 * GIB), None, 8),
            (Memory(available_bytes=9 * GIB), None, 4),
            (Memory(available_bytes=64 * GIB, limit_bytes=6 * GIB), None, 3),
            (Memory(available_bytes=64 * GIB), 2 * GIB, 1),
        ],
    )
    def test_cores_and_memory(self, memory: Memory, cap: int | None, jobs: int) -> None:
        decision = self.choose(memory, cap=cap)
        assert isinstance(decision, Chosen)
        assert decision.value == jobs

    def test_a_wish_only_lowers(self) -> None:
        fewer, more = self.choose(wish=3), self.choose(wish=64)
        assert isinstance(fewer, Chosen)
        assert isinstance(more, Chosen)
        assert (fewer.value, more.value) == (3, 8)

    def test_no_room_for_one(self) -> None:
        decision = refused(self.choose(Memory(available_bytes=64 * GIB, limit_bytes=GIB)))
        assert decision.because[-1].source == "the cgroup's limit"
        assert decision.ways_out == ("free memory or raise the limit to 2.0 GiB",)


@pytest.mark.parametrize(
    ("free", "fits"), [(None, True), (NEEDED_BYTES[Device.CPU], True), (GIB, False), (0, False)]
)
def test_room(free: int | None, *, fits: bool) -> None:
    decision = refuse_without_room(replace(MACHINE, disk=Disk(free)), Device.CPU)
    assert (decision is None) is fits
    if decision is not None:
        assert f"{(free or 0) / GIB:.1f} GiB are free" in facts(decision)


@pytest.mark.parametrize(
    ("text", "size"),
    [("12GiB", 12 * GIB), ("12 gi", 12 * GIB), ("500MB", 500_000_000), ("7", 7), ("1.5k", 1500)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "12 GiB of it", "-1G", "1e9", "12i", "1.G", "twelve"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_size(text)
    assert caught.value.exit_code is ExitCode.USAGE
    assert repr(text) in caught.value.message


class TestSystemPackages:
    def choose(
        self, system: str | None, *, numa: bool | None, headers: bool | None, install: bool = False
    ) -> object:
        machine = replace(
            MACHINE,
            os=OperatingSystem(system, "24.04") if system else None,
            libraries=Libraries(libnuma=numa),
        )
        python = Python("3.12.3", "/usr/bin/python3.12", headers=headers)
        decision = choose_system_packages(
            machine, python, needs_libnuma=True, into="/home/system", install=install
        )
        return decision if isinstance(decision, Refused) else decision.value

    def test_nothing_is_missing_or_known_to_be(self) -> None:
        assert self.choose("debian", numa=True, headers=True) is None
        assert self.choose("fedora", numa=None, headers=None) is None

    def test_what_is_missing_is_unpacked(self) -> None:
        packages = self.choose("ubuntu", numa=False, headers=False)
        assert getattr(packages, "packages", None) == (
            "libnuma-dev",
            "libnuma1",
            "libpython3.12-dev",
        )
        assert getattr(packages, "install", None) is False
        room = "/home/system/ubuntu-24.04-libnuma-dev-libnuma1-libpython3.12-dev"
        assert getattr(packages, "into", None) == room

    def test_another_set_of_packages_has_another_room(self) -> None:
        """Two plans in one home: neither takes away what the other unpacked."""
        rooms = {
            getattr(self.choose(system, numa=False, headers=headers), "into", None)
            for system in ("debian", "ubuntu")
            for headers in (True, False)
        }
        assert len(rooms) == 4

    @pytest.mark.parametrize(
        ("system", "way"),
        [("fedora", "dnf install"), ("alpine", "glibc"), (None, "development packages")],
    )
    def test_another_distribution_says_its_own_command(self, system: str | None, way: str) -> None:
        decision = refused(self.choose(system, numa=False, headers=True))
        assert way in decision.ways_out[0]
