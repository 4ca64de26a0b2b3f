"""Memory and CPU limits, from folders laid out as the kernel lays them out."""

from pathlib import Path

from vllm_forge.probe.cgroup import read_levels
from vllm_forge.probe.cpu import read_quota
from vllm_forge.probe.memory import read_memory

GIB = 1 << 30
NONE_IN_VERSION_1 = "9223372036854771712"
MEMINFO = "MemTotal: 67108864 kB\nMemFree: 1 kB\nMemAvailable: 62914560 kB\n"  # 64 and 60 GiB


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    memory = read_memory(root=lay(tmp_path, {"proc/meminfo": MEMINFO}))
    assert (memory.total_bytes, memory.limit_bytes, memory.available_bytes) == (
        64 * GIB,
        None,
        60 * GIB,
    )


def test_version_2_limit_on_an_outer_level_binds(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/pod/container\n",
            "proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/pod/memory.max": f"{16 * GIB}\n",
            "sys/fs/cgroup/pod/memory.high": f"{12 * GIB}\n",
            "sys/fs/cgroup/pod/memory.current": f"{5 * GIB}\n",
            "sys/fs/cgroup/pod/memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
            "sys/fs/cgroup/pod/container/memory.max": "max\n",
        },
    )
    memory = read_memory(root=root)
    assert memory.limit_bytes == 12 * GIB
    assert memory.available_bytes == 9 * GIB  # 12 less 5 in use, 2 of which are page cache


def test_version_1_without_a_namespace_sees_its_group_at_the_mount(tmp_path: Path) -> None:
    """Docker before cgroup namespaces: the path of /proc/self/cgroup is the host's."""
    root = lay(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
            "proc/self/mountinfo": (
                "41 40 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
                "42 40 0:31 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n"
            ),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{8 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{3 * GIB}\n",
            "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {GIB}\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert read_memory(root=root).limit_bytes == 8 * GIB
    assert read_memory(root=root).available_bytes == 6 * GIB
    assert [read_quota(level) for level in read_levels("cpu", root=root)] == [2.5]


def test_both_versions_mounted_and_the_tightest_wins(tmp_path: Path) -> None:
    """Hybrid: memory is version 1's, with no limit inside and one outside; version 2 is empty."""
    root = lay(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "4:memory:/a/b\n1:cpu:/\n0::/\n",
            "proc/self/mountinfo": (
                "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
            ),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NONE_IN_VERSION_1,
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{4 * GIB}",
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": NONE_IN_VERSION_1,
            "sys/fs/cgroup/unified/cgroup.procs": "1\n",
        },
    )
    assert read_memory(root=root).limit_bytes == 4 * GIB
    assert read_memory(root=root).available_bytes == 60 * GIB  # its usage is not to be seen


def test_a_path_that_is_not_below_the_mount_stops_at_the_mount(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "proc/self/cgroup": "0::/../outside\n",
            "proc/self/mountinfo": "30 20 0:26 /mine /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        },
    )
    folders = [level.folder for level in read_levels("memory", root=root)]
    assert folders == [root / "sys/fs/cgroup"]


def test_cpu_quota_of_version_2(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "proc/self/cgroup": "0::/a\n",
            "proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/a/cpu.max": "400000 100000\n",
        },
    )
    assert [read_quota(level) for level in read_levels("cpu", root=root)] == [4.0, None]
