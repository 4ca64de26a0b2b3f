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
    if (broker >= 0 && send_ask(broker, words + 1) < 0) broker = -1;
    do {
        if (broker >= 0 && hear(broker, reply, sizeof reply) < 0) broker = -1;
        if (broker >= 0 && strcmp(reply, "stop") == 0) return 128 + SIGTERM;
        if (broker >= 0) setenv(HELD, reply + strlen("go "), 1);
        if (broker >= 0 && !held) lock_slot(folder, atoi(reply + strlen("go ")));
        if (broker < 0 && !held && folder >= 0) take_any_slot(folder);
        run(words + 1, broker, &status, &usage);
        if (broker < 0 || status == 0 || ended_by) break;
    } while (hear(broker, reply, sizeof reply) == 0 && strcmp(reply, "again") == 0);
    if (ended_by) return 128 + ended_by;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
