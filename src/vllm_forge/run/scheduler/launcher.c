/* forge-launch COMMAND...: runs a compiler when the build's broker says so, and reports its cost.
 *
 * CMake puts it in front of every compile (CMAKE_<LANG>_COMPILER_LAUNCHER). VLLM_FORGE_BROKER names
 * a folder with the broker's socket and one lock file for each slot. Without that variable the
 * compiler is run directly. With a broker that is gone, launchers share out the first
 * VLLM_FORGE_BROKER_JOBS slots among themselves by the lock files: the build goes on, and memory is
 * still minded. Messages are packets (SOCK_SEQPACKET); broker.py holds the other end:
 *
 *   ask \0 SLOT-HELD-OR-EMPTY \0 FOLDER \0 WORD \0 WORD ...   -> go SLOT | stop
 *   end STATUS USER-MICROSECONDS SYSTEM-MICROSECONDS MAXRSS-KIB   -> done | again (for a failure)
 *
 * VLLM_FORGE_CACHE is a compiler cache (ccache, sccache) for compiles that write down what they read
 * (-c with -MD): without that, ccache finds a CUDA file's headers by nvcc -E, which sees one
 * architecture only. It stands inside this launcher. VLLM_FORGE_CACHE_ROOTS ("FOLDER<tab>LINK" lines)
 * names links in the working folder; compiles are given those in place of the folders, so that
 * another checkout's compile reads the same. VLLM_FORGE_CACHE_FLAG is added to compiles of g++.
 *
 * launcher.py does the same for machines where this does not compile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD "VLLM_FORGE_SLOT" /* set for the compiler: a launcher inside this one says it */
#define CACHE "VLLM_FORGE_CACHE"
#define PATIENCE 1             /* seconds from the first signal to the kill */
#define POLL_MICROSECONDS 50000

static volatile sig_atomic_t ended_by = 0; /* the signal we were told to end by */
static volatile pid_t child = 0;           /* leads a group of its own */
static int slot_file = -1;

static void end_child(int sign) {
    if (child == 0) _exit(128 + sign); /* still waiting for the broker, or done */
    if (sign != SIGALRM) ended_by = sign;
    kill(-child, sign == SIGALRM ? SIGKILL : sign);
    alarm(PATIENCE);
}

static void listen_to_signals(void) {
    struct sigaction action = {.sa_handler = end_child};
    int signs[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) sigaction(signs[i], &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* ninja killed outright takes us along */
}

/* The socket is reached through the folder's descriptor: its path may be longer than sun_path. */
static int connect_broker(int folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int broker = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", folder);
    if (broker >= 0 && connect(broker, (struct sockaddr *)&address, sizeof address) == 0)
        return broker;
    if (broker >= 0) close(broker);
    return -1;
}

static int send_ask(int broker, char **words) {
    static char packet[160 * 1024]; /* Linux keeps one word below 128 KiB, and ninja passes one */
    const char *held = getenv(HELD);
    char folder[4096];
    size_t used = 4;
    memcpy(packet, "ask", 4);
    if (getcwd(folder, sizeof folder) == NULL) folder[0] = '\0';
    used += (size_t)snprintf(packet + used, sizeof packet - used, "%s", held ? held : "") + 1;
    used += (size_t)snprintf(packet + used, sizeof packet - used, "%s", folder) + 1;
    for (; *words && used + strlen(*words) + 1 <= sizeof packet; words++) {
        memcpy(packet + used, *words, strlen(*words) + 1);
        used += strlen(*words) + 1;
    }
    return send(broker, packet, used, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* The broker's next word into `reply`; -1 when it is gone. */
static int hear(int broker, char *reply, size_t size) {
    ssize_t length = recv(broker, reply, size - 1, 0);
    if (length <= 0) return -1;
    reply[length] = '\0';
    return 0;
}

/* Lock one slot's file, until it is closed or we end; 0 when another holds it. */
static int lock_slot(int folder, int slot) {
    char name[32];
    snprintf(name, sizeof name, "slot-%d", slot);
    slot_file = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (slot_file >= 0 && flock(slot_file, LOCK_EX | LOCK_NB) == 0) return 1;
    close(slot_file);
    slot_file = -1;
    return 0;
}

static void take_any_slot(int folder) {
    const char *said = getenv("VLLM_FORGE_BROKER_JOBS");
    int jobs = said ? atoi(said) : 1;
    for (;;) {
        for (int slot = 0; slot < (jobs > 0 ? jobs : 1); slot++)
            if (lock_slot(folder, slot)) return;
        usleep(POLL_MICROSECONDS);
    }
}

/* The link (up to a newline) for the folder that `path` begins with, its length in `length`. */
static const char *link_of(const char *path, const char *roots, size_t *length) {
    for (const char *line = roots, *tab; (tab = strchr(line, '\t')) != NULL;) {
        size_t size = (size_t)(tab - line);
        if (strncmp(path, line, size) == 0 && strchr("/,:;\"' ", path[size])) {
            *length = size; /* strchr finds the end of the word too */
            return tab + 1;
        }
        if ((line = strchr(tab, '\n')) == NULL) break;
        line++;
    }
    return NULL;
}

/* `word` with links for folders: a path begins the word or its value, or is an option's first. */
static char *with_links(const char *word, const char *roots) {
    char *text = NULL;
    size_t size = 0, length = 0;
    int first = *word == '-';
    if (strncmp(word, "-D", 2) == 0) return (char *)word; /* a value of the program's, no place */
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return (char *)word;
    for (const char *at = word; *at;) {
        const char *link = NULL;
        if (*at == '/' && (first || at == word || strchr("=,:;\"' ", at[-1])))
            link = link_of(at, roots, &length);
        if (*at == '/') first = 0;
        if (link != NULL) {
            fwrite(link, 1, strcspn(link, "\n"), out);
            at += length;
        } else {
            fputc(*at++, out);
        }
    }
    fclose(out);
    return text;
}

/* The command behind the compiler cache, where there is one and it can judge this compile. */
static char **behind_cache(char **words) {
    char *cache = getenv(CACHE), *roots = getenv(CACHE "_ROOTS"), *flag = getenv(CACHE "_FLAG");
    int count = 0, compiles = 0, depends = 0;
    for (; words[count]; count++) {
        compiles |= strcmp(words[count], "-c") == 0;
        depends |= strcmp(words[count], "-MD") == 0;
    }
    char **cached = calloc((size_t)count + 3, sizeof *cached);
    if (cache == NULL || !compiles || !depends || cached == NULL) return words;
    cached[0] = strdup(cache);
    cached[1] = words[0];
    for (int i = 1; i < count; i++)
        cached[i + 1] = roots && *roots ? with_links(words[i], roots) : words[i];
    const char *program = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
    if (flag && *flag && strcmp(program, "nvcc") != 0) cached[count + 1] = flag;
    if (roots && *roots) setenv("PWD", "/proc/self/cwd", 1); /* what debug information is told */
    unsetenv(CACHE); /* a launcher inside the cache is in front of the compiler */
    return cached;
}

/* When memory runs out, the kernel takes a compile, which is tried again; not ninja, not a shell. */
static void offer_to_oom_killer(void) {
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    if (write(file, "500", 3) < 0) errno = 0; /* no worse than before */
    close(file);
}

/* Run the compiler to its end; 127 in `status` when it cannot be started. */
static void run(char **words, int broker, int *status, struct rusage *usage) {
    char said[96];
    sigset_t all, before;
    sigfillset(&all); /* a signal between fork and `child = ...` would reach nobody */
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int signs[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
        for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) signal(signs[i], SIG_DFL);
        offer_to_oom_killer();
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(words[0], words);
        fprintf(stderr, "forge-launch: %s: %s\n", words[0], strerror(errno));
        _exit(127);
    }
    if (pid > 0) setpgid(pid, pid); /* whoever of us two is first */
    child = pid;
    sigprocmask(SIG_SETMASK, &before, NULL);
    *status = 127 << 8;
    if (pid < 0) {
        perror("forge-launch: fork");
        return;
    }
    while (wait4(pid, status, 0, usage) < 0 && errno == EINTR) continue;
    if (ended_by || WIFSIGNALED(*status)) kill(-pid, SIGKILL); /* what it had started itself */
    alarm(0);
    child = 0;
    close(slot_file); /* before the broker gives the slot to another */
    if (broker >= 0) {
        snprintf(said, sizeof said, "end %d %lld %lld %ld", *status,
                 usage->ru_utime.tv_sec * 1000000LL + usage->ru_utime.tv_usec,
                 usage->ru_stime.tv_sec * 1000000LL + usage->ru_stime.tv_usec, usage->ru_maxrss);
        send(broker, said, strlen(said), MSG_NOSIGNAL);
    }
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: forge-launch COMMAND [ARGUMENT]...\n");
        return 2;
    }
    listen_to_signals();
    const char *place = getenv("VLLM_FORGE_BROKER");
    int folder = place ? open(place, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    int broker = folder >= 0 ? connect_broker(folder) : -1;
    int status = 0, held = getenv(HELD) != NULL; /* by the launcher we run inside */
    char reply[32] = "";
    struct rusage usage = {0};
    words = behind_cache(words + 1);
    if (broker >= 0 && send_ask(broker, words) < 0) broker = -1;
    do {
        if (broker >= 0 && hear(broker, reply, sizeof reply) < 0) broker = -1;
        if (broker >= 0 && strcmp(reply, "stop") == 0) return 128 + SIGTERM;
        if (broker >= 0) setenv(HELD, reply + strlen("go "), 1);
        if (broker >= 0 && !held) lock_slot(folder, atoi(reply + strlen("go ")));
        if (broker < 0 && !held && folder >= 0) take_any_slot(folder);
        run(words, broker, &status, &usage);
        if (broker < 0 || status == 0 || ended_by) break;
    } while (hear(broker, reply, sizeof reply) == 0 && strcmp(reply, "again") == 0);
    if (ended_by) return 128 + ended_by;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
