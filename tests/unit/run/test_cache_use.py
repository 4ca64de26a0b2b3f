"""What caches say of a build, read."""

import json

from vllm_forge.run.caches import ccache, sccache

LOG = """\
# forge/tree/csrc/a.cu
direct_cache_hit
local_storage_hit
local_storage_read_hit
# forge/tree/csrc/b.cu
cache_miss
direct_cache_miss
local_storage_read_miss
local_storage_write
# forge/tree/csrc/c.cu
cache_miss
direct_cache_miss
local_storage_read_hit
local_storage_write
# forge/tree/csrc/d.cu
unsupported_compiler_option
# forge/tree/csrc/e.cu
compile_failed
direct_cache_miss
local_storage_read_miss
"""


def test_ccache_says_why_it_missed() -> None:
    use = ccache.parse_use(LOG, "ccache version 4.7.5", "/home/caches/ccache")
    assert (use.name, use.version, use.hits, use.misses) == ("ccache", "4.7.5", 1, 4)
    assert use.missed == {
        ccache.NEW: 1,
        ccache.CHANGED: 1,
        "unsupported compiler option": 1,
        "compile failed": 1,
    }


def test_sccache_counts_whole_compiles() -> None:
    said = {
        "stats": {
            "cache_hits": {"counts": {"CUDA": 1, "PTX": 5, "C/C++": 2}},
            "cache_misses": {"counts": {"CUDA": 4, "CUBIN": 3}},
            "not_cached": {"-E": 1},
        },
        "version": "0.16.0",
    }
    use = sccache.parse_use(json.dumps(said), "/c")
    assert use is not None
    assert (use.hits, use.misses, use.missed) == (3, 5, {sccache.MISSED: 4, "-E": 1})


def test_a_server_that_says_nothing_of_use_is_no_answer() -> None:
    for said in ("", "no json", "[]", '{"stats": {}}', '{"stats": {"cache_hits": 3}}'):
        assert sccache.parse_use(said, "/c") is None
