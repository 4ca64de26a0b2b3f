"""What could not be fetched: projects by git or CMake, packages and models by HTTP."""

from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

OVERRIDES = {
    "cutlass": "VLLM_CUTLASS_SRC_DIR",
    "vllm-flash-attn": "VLLM_FLASH_ATTN_SRC_DIR",
    "flash-attention": "VLLM_FLASH_ATTN_SRC_DIR",
    "flashmla": "FLASH_MLA_SRC_DIR",
    "qutlass": "QUTLASS_SRC_DIR",
    "triton_kernels": "TRITON_KERNELS_SRC_DIR",
    "triton-kernels": "TRITON_KERNELS_SRC_DIR",
    "deepgemm": "DEEPGEMM_SRC_DIR",
    "flashkda": "FLASH_KDA_SRC_DIR",
    "deepselect": "DEEPSELECT_SRC_DIR",
}
"""By which vLLM's CMake takes a local folder instead (cmake/*.cmake, 0.10 to 0.33)."""
NO_NETWORK = (
    r"Temporary failure in name resolution|Temporary failure resolving|Name or service not known"
    r"|Could not resolve host(?:: [\w.-]+)?"
    r"|Network is unreachable|No route to host|Connection refused|Connection timed out"
    r"|Connection reset by peer|Failed to connect to [\w.-]+(?: port \d+)?|Failed to establish a"
    r" new connection"
    r"|Connection was reset|requested URL returned error: (?:403|407|429|5\d\d)"
    r"|unable to resolve host address|CONNECTION FAILED for url"
    r"|Connection broken: \w+|IncompleteRead|due to network timeout|dns error|Connection aborted"
    r"|nodename nor servname"
)
NOT_TRUSTED = (
    r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|self[- ]signed certificate|SSL"
    r" certificate problem"
)
PROXY = r"Cannot connect to proxy|ProxyError|Tunnel connection failed|Proxy CONNECT aborted"
UNREACHED = (
    rf"(?P<reason>{NO_NETWORK}|{NOT_TRUSTED}|{PROXY}|Read timed out|ReadTimeoutError|operation"
    rf" timed out|TLS connect error|gnutls_handshake\(\) failed)"
)
CUT_SHORT = (
    r"RPC failed|early EOF|remote end hung up unexpectedly|invalid index-pack output|GnuTLS recv"
    r" error|fetch-pack: unexpected disconnect"
)
NO_SUCH_COMMIT = (
    r"reference is not a tree|not our ref|pathspec '[^']+' did not match|[Cc]ould not find remote"
    r" ref|Failed to checkout tag|unable to read tree"
)


def fetch_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    """By what went wrong; a local folder always works (vllm-forge plans with one)."""
    del scene
    project = (names.get("project") or names.get("named") or "").lower().removesuffix(".git")
    variable = OVERRIDES.get(project)
    reason = names.get("reason") or ""
    lines = []
    if names.get("nogit"):
        lines.append(
            "Install git: the build clones this project (apt-get install -y git, dnf install -y"
            " git)"
        )
    elif names.get("commit"):
        lines.append(
            "The commit is not in that repository (a rewritten history, a mirror, a shallow clone)."
        )
    elif names.get("cut"):
        lines.append("Build again: the transfer broke off. Behind a slow line clone by hand first.")
    else:
        lines.append(reach_fix(reason)[0])
    if variable:
        lines.append(
            f"or clone {project} where there is a network: export {variable}=/path/of/the/clone"
        )
    else:
        lines.append("or clone it by hand and point the build at the folder.")
    return tuple(lines)


def reach_fix(reason: str) -> tuple[str, ...]:
    lower = reason.lower()
    if "certificate" in lower:
        return (
            (
                "A proxy signs with its own certificate: export SSL_CERT_FILE=/path/of/its/ca.pem"
                " REQUESTS_CA_BUNDLE=$SSL_CERT_FILE GIT_SSL_CAINFO=$SSL_CERT_FILE"
            ),
        )
    if "proxy" in lower or "tunnel" in lower:
        return ("env | grep -i _proxy   # the proxy set here does not let this through",)
    if "resol" in lower or "name or service" in lower or "dns" in lower:
        return (
            (
                "The host's name does not resolve: check DNS of this machine or container"
                " (docker build --network=host)."
            ),
        )
    return ("Check the network, firewall and proxy (env | grep -i _proxy), then try again.",)


def fetch_cause(names: Names, scene: Scene) -> str:
    del scene
    project = names.get("project") or names.get("named") or names.get("url") or "a project"
    reason = names.get("reason") or names.get("cut") or names.get("commit") or ""
    why = f": {reason}" if reason else ""
    if names.get("nogit"):
        why = ": the git executable was not found"
    return f"The build could not fetch {project}{why}."


GIT_REASON = (
    rf"(?:{UNREACHED}|(?P<cut>{CUT_SHORT})|(?P<commit>{NO_SUCH_COMMIT})|(?P<nogit>No such file or"
    rf" directory \(os error 2\)|could not find git))"
)
LOCAL = pattern(r"(?:host='|connect to |host )(?:127\.0\.0\.1|localhost|0\.0\.0\.0)")
"""A client of a server on this machine that is not up: no matter of the network."""

SIGNATURES = (
    Signature(
        "fetch-failed",
        kinds(Kind.FRONTEND, Kind.CMAKE, Kind.NINJA, Kind.PLAIN),
        pattern(
            rf"(?:unable to access '(?P<url>\S*?/(?P<project>[\w.-]+?)(?:\.git)?/?)'"
            rf"|[Ff]ailed to clone (?:repository: )?'?(?:\S*/)?(?P<named>[\w.-]+)'?)(?:."
            rf"|\n)*?{GIT_REASON}"
        ),
        fetch_cause,
        fetch_fix,
        before=pattern(r"\S"),
    ),
    Signature(
        "fetch-failed",
        kinds(Kind.CMAKE),
        pattern(
            r"(?:Build step for|CMake step for) (?P<project>[\w.-]+) failed"
            r"|Failed to clone repository: '\S*?/(?P<named>[\w.-]+?)(?:\.git)?'"
            r"|Failed to checkout tag: '(?P<commit>[^']+)'|error: could not (?P<nogit>find git)"
            r" for clone of (?P<what>\S+)"
            r"|Each download failed!|error: downloading '(?P<url>[^']+)' failed"
            r"|Unable to determine (?:current )?HEAD commit|Failed to (?:update|init) submodules"
            r" in: '(?P<folder>[^']+)'"
        ),
        fetch_cause,
        fetch_fix,
    ),
    Signature(
        "fetch-failed",
        kinds(Kind.FRONTEND, Kind.PLAIN),
        pattern(
            rf"(?:fatal|error|Error): (?:.*?(?P<cut>{CUT_SHORT})|.*?(?P<commit>reference is not a"
            rf" tree[^\n]*|remote error: upload-pack: not our ref[^\n]*)"
            r"|clone of '\S*?/(?P<project>[\w.-]+?)(?:\.git)?' into submodule path"
            r"|(?:Failed|failed) to clone (?:'(?:\S*?/)?)?(?P<named>[\w.-]+))"
        ),
        fetch_cause,
        fetch_fix,
        unless=pattern(r"No space left on device"),
        before=pattern(r"\S"),
    ),
    Signature(
        "network-unreachable",
        kinds(Kind.LOGGED, Kind.PLAIN, Kind.FRONTEND),
        pattern(rf"Retrying \(Retry\(.*?{UNREACHED}"),
        "The package index cannot be reached: {reason}.",
        lambda names, _: reach_fix(names["reason"]),
        before=pattern(
            r"No matching distribution|satisfies the requirement|subprocess-exited|Max retries"
            r"|Could not install|conflicting dependencies"
        ),
    ),
    Signature(
        "network-unreachable",
        kinds(Kind.FRONTEND, Kind.EXCEPTION),
        pattern(
            rf"(?:Max retries exceeded with url(?:.|\n)*?|Request failed after(?:.|\n)*?|error"
            rf" sending request for url(?:.|\n)*?"
            rf"|urlopen error (?:\[Errno -?\d+\] )?|CondaHTTPError: HTTP 000 |wget: |Failed to"
            rf" download [^\n]*|Failed to"
            rf" fetch: (?:."
            rf"|\n)*?|HTTPSConnectionPool\(host=(?:.|\n)*?|"
            rf"(?:ConnectError|ConnectionError|gaierror|SSLError|ConnectTimeout|ReadTimeout"
            rf"|ProtocolError|ChunkedEncodingError)\w*: "
            rf"(?:.|\n)*?"
            rf"|unable to access '[^']+': (?:.|\n)*?|Could not install packages due to an "
            rf"(?:OSError|EnvironmentError): (?:.|\n)*?|ReadTimeoutError\S*? ?(?:.|\n)*?"
            rf"|curl: \(\d+\) |Temporary failure resolving |E: Failed to fetch (?:.|\n)*?)"
            rf"{UNREACHED}"
        ),
        "A host could not be reached: {reason}.",
        lambda names, _: reach_fix(names["reason"]),
        unless=LOCAL,
        yields_to=frozenset({"fetch-failed"}),
    ),
    Signature(
        "network-unreachable",
        kinds(Kind.EXCEPTION),
        pattern(
            r"couldn't connect to '(?P<url>[^']+)' to load (?:this|the) file|outgoing traffic has"
            r" been disabled"
            r"|(?P<offline>OfflineModeIsEnabled|LocalEntryNotFoundError)"
            r"|An error happened while trying to locate the (?:file|files) on the Hub"
        ),
        "The model hub cannot be reached and the model is not in the local cache.",
        acts(
            "Download the model where there is a network, and give its folder instead of its name.",
            "env | grep -E 'HF_|_proxy'   # HF_HUB_OFFLINE=1 forbids the network by itself",
        ),
    ),
    Signature(
        "network-unreachable",
        kinds(Kind.EXCEPTION, Kind.FRONTEND),
        pattern(
            rf"(?:requests\.exceptions|urllib3\.exceptions|httpx|httpcore"
            rf"|aiohttp\.client_exceptions|socket)\.\w+(?:.|\n)*?{UNREACHED}"
        ),
        "A host could not be reached: {reason}.",
        lambda names, _: reach_fix(names["reason"]),
        unless=LOCAL,
    ),
)
