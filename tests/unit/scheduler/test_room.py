"""What the machine can still give, read from made-up roots."""

from pathlib import Path

from vllm_forge.records.schedule import MemorySample
from vllm_forge.run.scheduler.memory import kept_free, read_oom_kills, read_pressure, read_room
from vllm_forge.run.scheduler.processes import PAGE, TICKS, measure_tree
from vllm_forge.run.scheduler.schedule import thin

GIB = 1 << 30
MEMINFO = "MemTotal: 33554432 kB\nMemAvailable: 25165824 kB\n"  # 32 and 24 GiB


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_a_cgroup_it_is_what_the_kernel_has(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/meminfo": MEMINFO})
    room = read_room(cores=4, memory_bytes=None, root=root)
    kept = kept_free(32 * GIB)
    assert (room.cores, room.available_bytes) == (4, 24 * GIB - kept)
    assert room.ceiling_bytes == 32 * GIB - kept
    assert room.pressure == 0.0


def test_the_users_cap_counts_to_the_byte(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/meminfo": MEMINFO})
    assert read_room(cores=4, memory_bytes=6 * GIB, root=root).ceiling_bytes == 6 * GIB


def test_version_2_limit_usage_and_pressure(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/build"
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "proc/self/cgroup": "0::/build\n",
            "proc/pressure/memory": "some avg10=99.00 avg60=0 avg300=0 total=0\n",
            f"{group}/memory.max": f"{9 * GIB}\n",
            f"{group}/memory.current": f"{5 * GIB}\n",
            f"{group}/memory.stat": f"anon 1\ninactive_file {GIB}\n",
            f"{group}/memory.pressure": "some avg10=1.50 avg60=0 avg300=0 total=0\nfull avg10=9\n",
        },
    )
    room = read_room(cores=4, memory_bytes=None, root=root)
    kept = kept_free(9 * GIB)
    assert (room.available_bytes, room.ceiling_bytes) == (5 * GIB - kept, 9 * GIB - kept)
    assert room.pressure == 1.5, "its own group's, not the machine's"


def test_version_1_limit_and_the_machines_pressure(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/build"
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup c rw,memory\n",
            "proc/self/cgroup": "4:memory:/build\n",
            "proc/pressure/memory": "some avg10=12.25 avg60=0 avg300=0 total=0\n",
            f"{group}/memory.limit_in_bytes": f"{8 * GIB}\n",
            f"{group}/memory.usage_in_bytes": f"{2 * GIB}\n",
            f"{group}/memory.stat": "total_inactive_file 0\n",
        },
    )
    room = read_room(cores=4, memory_bytes=None, root=root)
    assert room.available_bytes == 6 * GIB - kept_free(8 * GIB)
    assert room.pressure == 12.25


def test_nothing_known(tmp_path: Path) -> None:
    room = read_room(cores=2, memory_bytes=None, root=tmp_path)
    assert (room.available_bytes, room.ceiling_bytes, room.pressure) == (None, None, 0.0)
    assert read_oom_kills(root=tmp_path) == 0
    assert read_pressure(root=write(tmp_path, {"proc/pressure/memory": "some avg10=?"})) == 0.0


def test_oom_kills_are_counted(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/vmstat": "nr_free_pages 1\noom_kill 7\nthp_split 0\n"})
    assert read_oom_kills(root=root) == 7


def stat(name: str, resident: int, ticks: int) -> str:
    return f"1 ({name}) S 0 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 9 4096 {resident} 0"


def test_a_tree_is_summed_over_every_threads_children(tmp_path: Path) -> None:
    proc = write(
        tmp_path,
        {
            "10/stat": stat("nvcc) x", 5, 0),
            "10/task/10/children": "11 ",
            "10/task/12/children": "13",
            "11/stat": stat("cicc", 100, 2 * TICKS),
            "11/task/11/children": "",
            "13/stat": stat("ptxas", 7, TICKS),
        },
    )
    seen = measure_tree(10, proc=str(proc))
    assert seen is not None
    assert (seen.resident_bytes, seen.cpu_seconds) == (112 * PAGE, 3.0)
    assert measure_tree(99, proc=str(proc)) is None


def test_a_long_curve_keeps_its_peaks() -> None:
    samples = [MemorySample(at, at % 97, None, 0.0, 1, 0) for at in range(10_000)]
    few = thin(samples, most=500)
    assert len(few) <= 500
    assert max(one.resident_bytes for one in few) == 96
    assert [one.at for one in few] == sorted(one.at for one in few)
    assert thin(samples[:3]) == tuple(samples[:3])
