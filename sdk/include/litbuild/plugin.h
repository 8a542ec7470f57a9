/* litbuild/plugin.h - the plugin contract of litbuild.
 *
 * A plugin is a shared library that exports ONE symbol, the constant `litbuild_plugin_v1`, and gives the engine a table
 * of functions for each interface that it provides: a build store, a status source, a process controller.
 * This header is the whole contract; it compiles as C99 to C++20 and includes nothing but <stddef.h> and <stdint.h>.
 * C++ authors include <litbuild/export.hpp> instead and derive from a class.
 *
 * THE FIVE RULES
 *   1. A struct starts with the size its author compiled (`struct_size`). The reader copies the smaller of that size and
 *      its own over zeroes, and so reads zero in every field that the author did not know.
 *      In an array each element is as large as the first one says.
 *   2. Fields are only added at the end. A null function means "not supported".
 *   3. What is passed in is borrowed until the call returns. Nobody frees the other side's memory.
 *   4. Calls block, may come from any thread, carry a deadline and a cancel handle, and never unwind: no C++ exception,
 *      no longjmp leaves a function of this contract, in either direction.
 *   5. A library is loaded once and never unloaded.
 *
 * MANNERS. A plugin lives in somebody else's process: it does not change the working directory, the umask, the locale,
 * the environment or a signal handler, does not wait for children that it did not start, prints nothing to standard
 * output or error (see lb_host.log), opens every descriptor close-on-exec, and starts no thread before `open`.
 *
 * TEXT is UTF-8, given by pointer and length, not terminated. A null pointer with length 0 is the empty text.
 */
#ifndef LITBUILD_PLUGIN_H
#define LITBUILD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The major version is part of the symbol's name, so that a plugin of another major is told before it is asked
 * anything. Minor versions only add fields and interfaces: newer and older ones load. */
#define LITBUILD_ABI_MAJOR 1u
#define LITBUILD_ABI_MINOR 4u
#define LITBUILD_ABI ((LITBUILD_ABI_MAJOR << 16) | LITBUILD_ABI_MINOR)

/* ------------------------------------------------------------------------------------------------ what all share */

typedef struct lb_str { const char *data; size_t size; } lb_str;

/* What a function returns. The set is closed: an engine treats a number that it does not know as LB_INTERNAL. */
enum {
    LB_OK = 0,
    LB_NOT_FOUND = 1,    /* no such team, build or file */
    LB_EXISTS = 2,       /* it is there already */
    LB_DENIED = 3,       /* no permission, or a read-only place */
    LB_INVALID = 4,      /* the request or the configuration makes no sense */
    LB_UNSUPPORTED = 5,  /* this plugin cannot do that */
    LB_UNAVAILABLE = 6,  /* not now; try again later */
    LB_NO_SPACE = 7,     /* disk or quota full */
    LB_CORRUPT = 8,      /* what was found is damaged */
    LB_CANCELLED = 9,    /* lb_call.cancelled said so */
    LB_TIMEOUT = 10,     /* lb_call.deadline_ns has passed */
    LB_INTERNAL = 11,    /* a fault of the plugin */
    LB_REFUSED = 12      /* the state of the build does not allow it */
};

/* Where a function tells why, in one sentence that starts with the object ("contoso/19: is running").
 * Caller-owned; may be a null pointer; `message` ends with a zero byte. */
typedef struct lb_error {
    uint32_t struct_size;
    int32_t os_errno;     /* errno of the failed system call; 0: none */
    char message[504];
} lb_error;

/* The limits of one call. A null pointer means: no deadline, cannot be cancelled. */
typedef struct lb_call {
    uint32_t struct_size;
    int32_t cancel_fd;                          /* readable once the call is cancelled; -1: none */
    int64_t deadline_ns;                        /* on the clock of lb_host.now_ns; 0: none */
    /* Non-zero: give up, return LB_CANCELLED. Asked with the very pointer that was passed in. May be null. [any thread] */
    int (*cancelled)(const struct lb_call *);
    /* Since 1.1. How far it is, in bytes; total 0: not known. Told with the very pointer that was passed in, as often as
     * there is something new; the caller decides what to show. May be null. [any thread] */
    void (*progress)(const struct lb_call *, uint64_t done, uint64_t total);
} lb_call;

enum { LB_LOG_DEBUG = 0, LB_LOG_INFO = 1, LB_LOG_WARNING = 2, LB_LOG_ERROR = 3 };

/* The engine, as a plugin sees it. Lives until after `close`. */
typedef struct lb_host {
    uint32_t struct_size;
    uint32_t abi;                                        /* LITBUILD_ABI of the engine */
    lb_str name;                                         /* "litbuild" */
    lb_str version;                                      /* of the engine */
    void *ctx;                                           /* first argument of what follows */
    void (*log)(void *ctx, int32_t level, lb_str text);  /* one line, for the operator. May be null. [any thread] */
    int64_t (*now_ns)(void *ctx);                        /* monotonic clock, nanoseconds. Never null. [any thread] */
    const void *(*service)(void *ctx, lb_str id);        /* e.g. LB_READER_ID; null: not there. [during open] */
} lb_host;

/* A build, by name. `runid` is positive. */
typedef struct lb_build {
    uint32_t struct_size;
    uint32_t reserved;
    lb_str team;
    int64_t runid;
} lb_build;

/* The host's receivers. Each returns 0, or non-zero for "enough": the plugin then stops early and returns LB_OK. */
typedef int (*lb_text_fn)(void *ctx, lb_str text);

/* Threads a table can take. SERIAL: the engine makes one call at a time on one instance, and asks blocking calls
 * (`poll`, `wait`) in short slices. PARALLEL: any number at once, from any thread. */
enum { LB_SERIAL = 0, LB_PARALLEL = 1 };

/* ---------------------------------------------------------------------------------------------------- BuildStore */

#define LB_STORE_ID "litbuild.store/1"

enum { LB_LIVE = 1, LB_ARCHIVED = 2, LB_ALL = 3 };   /* scope of a list; also what an entry is */

/* Promises that no function shows. */
enum {
    LB_STORE_DURABLE = 1,   /* create, archive, restore, edit_tags, write_control outlive a power cut once they return */
    LB_STORE_SHARED = 2,    /* several hosts may use one root at once */
    LB_STORE_LOCAL_PATH = 4 /* entry.path can be opened by this process */
};

typedef struct lb_entry {
    uint32_t struct_size;
    uint32_t scope;      /* LB_LIVE or LB_ARCHIVED */
    int64_t runid;
    lb_str path;         /* folder of the artifacts, where it is now */
} lb_entry;

/* Receives `count` entries; the next one stands `entries[0].struct_size` bytes behind the first. */
typedef int (*lb_entries_fn)(void *ctx, const lb_entry *entries, size_t count);

typedef struct lb_query {
    uint32_t struct_size;
    uint32_t scope;      /* LB_LIVE, LB_ARCHIVED or LB_ALL */
    lb_str team;
    int64_t before;      /* only run ids below this one; 0: all */
    uint64_t limit;      /* at most so many; 0: all */
} lb_query;

typedef struct lb_file {
    uint32_t struct_size;
    uint32_t reserved;
    lb_str name;         /* a bare file name */
    lb_str content;
} lb_file;

typedef struct lb_new_build {
    uint32_t struct_size;
    uint32_t reserved;
    lb_str team;
    lb_str uuid;         /* identity of the new build, 36 characters */
    lb_str document;     /* a JSON object. The store writes it to `build.json` with the member "runid" put in front */
    const lb_file *files;/* further files that are there from the first moment on; one may be `tags`: the build's tags,
                            comma-separated on one line, which lb_store.tags tells from then on */
    size_t file_count;
} lb_new_build;

/* What an examination found. */
enum {
    LB_FOUND_REPAIRED = 1,    /* and has put right: `action` says what was done */
    LB_FOUND_REPAIRABLE = 2,  /* and could put right: `action` says what a repair would do */
    LB_FOUND_LEFT = 3         /* and does not touch: `action` says what a person may do */
};

typedef struct lb_finding {
    uint32_t struct_size;
    uint32_t state;      /* LB_FOUND_* */
    int64_t runid;       /* 0: it is about the team */
    lb_str kind;         /* one word for programs: "half-move" "duplicate" "torn-log" "two-ends" "temporary" "stale-lock"
                            "foreign" "run-ids"; others may come */
    lb_str text;         /* a sentence that starts with the object: "contoso/19: lies in both places" */
    lb_str action;       /* what was done, would be done or may be done */
} lb_finding;
typedef int (*lb_finding_fn)(void *ctx, const lb_finding *);

enum { LB_REPAIR_NO = 0, LB_REPAIR_YES = 1 };

enum {
    LB_CHANGE_WATCHING = 1,   /* the first one: from here on nothing is missed; again where the delay changes */
    LB_CHANGE_CREATED = 2,
    LB_CHANGE_CHANGED = 3,    /* its status or its tags */
    LB_CHANGE_ARCHIVED = 4,
    LB_CHANGE_RESTORED = 5,
    LB_CHANGE_REMOVED = 6
};

typedef struct lb_change {
    uint32_t struct_size;
    uint32_t kind;       /* LB_CHANGE_*; a receiver passes over what it does not know */
    int64_t runid;       /* 0 with LB_CHANGE_WATCHING */
    uint32_t delay_ms;   /* with LB_CHANGE_WATCHING: how late a change may be told; 0: as it happens */
    uint32_t reserved;
} lb_change;
typedef int (*lb_change_fn)(void *ctx, const lb_change *);

typedef struct lb_store {
    uint32_t struct_size;
    uint32_t threads;    /* LB_SERIAL or LB_PARALLEL */

    /* `config`: a JSON object, the part of the configuration that is this plugin's. */
    int32_t (*open)(const lb_host *, lb_str config, void **self, lb_error *);
    void (*close)(void *self);
    uint64_t (*capabilities)(void *self);

    /* The names of all teams, in any order. */
    int32_t (*teams)(void *self, const lb_call *, lb_text_fn, void *ctx, lb_error *);
    /* A team's builds, the highest run id first, each once. LB_NOT_FOUND: no such team. */
    int32_t (*list)(void *self, const lb_call *, const lb_query *, lb_entries_fn, void *ctx, lb_error *);
    /* One build. LB_NOT_FOUND: no such team or build. */
    int32_t (*find)(void *self, const lb_call *, const lb_build *, lb_entries_fn, void *ctx, lb_error *);
    /* A new build under a run id that this team never used, archived and removed builds included; makes the team where
     * it is new. Readers see it whole or not at all. */
    int32_t (*create)(void *self, const lb_call *, const lb_new_build *, lb_entries_fn, void *ctx, lb_error *);
    /* Out of the main list, and back; tells the entry as it is afterwards. Where it is there already: LB_OK.
     * Whether the build may be moved is the engine's concern. */
    int32_t (*archive)(void *self, const lb_call *, const lb_build *, lb_entries_fn, void *ctx, lb_error *);
    int32_t (*restore)(void *self, const lb_call *, const lb_build *, lb_entries_fn, void *ctx, lb_error *);
    /* Tags in order; none is no call of the receiver. */
    int32_t (*tags)(void *self, const lb_call *, const lb_build *, lb_text_fn, void *ctx, lb_error *);
    /* Removes, then adds those that are missing, in one step that loses no other writer's. */
    int32_t (*edit_tags)(void *self, const lb_call *, const lb_build *, const lb_str *add, size_t add_count,
                         const lb_str *remove, size_t remove_count, lb_error *);
    /* Bytes of a file of the build from `offset` on, `max` at most (0: to its end), in pieces of any size.
     * `name` is relative, may name a file in a sub-folder, and never leads out of the build's folder.
     * An offset at or behind the end gives nothing and LB_OK. LB_NOT_FOUND: no such file. */
    int32_t (*read)(void *self, const lb_call *, const lb_build *, lb_str name, uint64_t offset, uint64_t max,
                    lb_text_fn, void *ctx, lb_error *);
    /* Replaces the file `.control/NAME` of the build whole. */
    int32_t (*write_control)(void *self, const lb_call *, const lb_build *, lb_str name, lb_str content, lb_error *);
    /* Removes an archived build for ever; its run id stays used. LB_REFUSED: it is not archived. */
    int32_t (*remove)(void *self, const lb_call *, const lb_build *, lb_error *);

    /* Since 1.1. */

    /* Looks for what crashes, people and other programs have left of a team's builds, and tells each finding once.
     * `repair`: LB_REPAIR_YES puts right what can be put right without losing anything. LB_NOT_FOUND: no such team. */
    int32_t (*examine)(void *self, const lb_call *, lb_str team, uint32_t repair, lb_finding_fn, void *ctx, lb_error *);
    /* Tells what happens to a team's builds: first LB_CHANGE_WATCHING, then each change, until the receiver has enough or
     * the deadline has passed (LB_OK both), or the call is cancelled. Several changes of one build may be told as one.
     * LB_NOT_FOUND: no such team. Never asked of a table that takes one call at a time. */
    int32_t (*watch)(void *self, const lb_call *, lb_str team, lb_change_fn, void *ctx, lb_error *);

    /* Since 1.2. */

    /* How long ago a file of a build was last written, by the clock of where the builds are kept (a file server's), and by
     * no other: *age_ns, never negative. LB_NOT_FOUND: no such file. LB_UNSUPPORTED, LB_DENIED: that clock cannot be asked. */
    int32_t (*age)(void *self, const lb_call *, const lb_build *, lb_str name, int64_t *age_ns, lb_error *);
    /* How old what this table tells of builds may be, because what other hosts do is seen late; 0, and a null function: what
     * it tells is as it is. */
    uint64_t (*as_of_ms)(void *self);

    /* Since 1.4. From what follows the engine makes an index, which lets it list a team without reading each build; a table
     * without it is read build by build. */

    /* Tells one text: as long as it is the same and not empty, no build has come, gone or moved since it was first told, and
     * the paths of all live builds differ in their last part, the run id, alone, as do those of the archived ones. Empty: it
     * cannot be told just now. LB_NOT_FOUND: no such team. */
    int32_t (*version)(void *self, const lb_call *, lb_str team, lb_text_fn, void *ctx, lb_error *);
    /* Notes: what the engine keeps beside a team's builds. A name has 1 to 200 characters of [A-Za-z0-9._-], the first no dot.
     * They are no builds, no list shows them, and where they are lost nothing but time is.
     * The names, in any order; no team or none are no call of the receiver. */
    int32_t (*notes)(void *self, const lb_call *, lb_str team, lb_text_fn, void *ctx, lb_error *);
    /* All of it, in pieces of any size. LB_NOT_FOUND: there is none. */
    int32_t (*read_note)(void *self, const lb_call *, lb_str team, lb_str name, lb_text_fn, void *ctx, lb_error *);
    /* Replaces it whole: readers see it as it was or as it is now. `durable`: 1: it outlives a power cut once this returns;
     * 0: one may lose or damage it. LB_NOT_FOUND: no such team. */
    int32_t (*write_note)(void *self, const lb_call *, lb_str team, lb_str name, lb_str content, uint32_t durable, lb_error *);
    /* The same, where what is there begins with `before`, or where `before` is empty and there is none; in one
     * step with finding that out. *done: 1: replaced; 0: another one is there. */
    int32_t (*swap_note)(void *self, const lb_call *, lb_str team, lb_str name, lb_str before, lb_str content,
                         uint32_t durable, uint32_t *done, lb_error *);
    /* Where there is none: LB_OK. */
    int32_t (*remove_note)(void *self, const lb_call *, lb_str team, lb_str name, lb_error *);
} lb_store;

/* -------------------------------------------------------------------------------------------------- StatusSource */

#define LB_STATUS_ID "litbuild.status/1"

/* What a status source finds behind lb_host.service(LB_READER_ID): the files of builds, through the engine's store. */
#define LB_READER_ID "litbuild.reader/1"
typedef struct lb_reader {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* As lb_store.read. */
    int32_t (*read)(void *ctx, const lb_call *, const lb_build *, lb_str name, uint64_t offset, uint64_t max,
                    lb_text_fn, void *fn_ctx, lb_error *);
} lb_reader;

enum {
    LB_STATE_UNKNOWN = 0,   /* no status to read */
    LB_STATE_QUEUED = 1,
    LB_STATE_RUNNING = 2,
    LB_STATE_STOPPING = 3,
    LB_STATE_COMPLETE = 4,
    LB_STATE_FAILED = 5,    /* the build's own fault: a step exited non-zero */
    LB_STATE_ERROR = 6,     /* the platform's fault: could not start, disk full */
    LB_STATE_STOPPED = 7,
    LB_STATE_LOST = 8       /* derived by the engine; no source needs to give it */
};

#define LB_NO_EXIT (-1)     /* exit code of what has not ended, or ended without one */

typedef struct lb_step {
    uint32_t struct_size;
    uint32_t state;        /* LB_STATE_*: QUEUED until it starts */
    lb_str name;
    int32_t parent;        /* index of the step that it is a part of; -1: none */
    int32_t exit_code;     /* LB_NO_EXIT: none */
    int32_t signal;        /* that ended it; 0: none */
    int32_t reserved;
    int64_t started_ns;    /* since 1970-01-01 UTC; 0: not yet */
    int64_t ended_ns;      /* likewise */
    double progress;       /* 0 to 1; negative: not told */
} lb_step;

typedef struct lb_status {
    uint32_t struct_size;
    uint32_t state;
    int64_t time_ns;       /* when this became so, since 1970-01-01 UTC */
    int64_t created_ns;    /* 0: not known; likewise the next two */
    int64_t started_ns;
    int64_t ended_ns;
    uint64_t cursor;       /* of the last event that this status includes; 0: none */
    int32_t current_step;  /* index in `steps`; -1: none */
    int32_t exit_code;     /* LB_NO_EXIT: none */
    int32_t signal;        /* 0: none */
    int32_t reserved;
    double progress;       /* of the build, 0 to 1; negative: not told */
    lb_str message;        /* what the build last said of its progress */
    lb_str error;          /* one sentence; empty: none */
    lb_str stopped_by;     /* who asked for the stop; empty: nobody */
    lb_str reason;         /* why */
    const lb_step *steps;  /* in order; a part stands behind what it is a part of */
    size_t step_count;
    lb_str detail;         /* a JSON object with whatever else this source knows, or empty */
    uint64_t as_of_ms;     /* how old this may be; 0: it is as it is. Since 1.2 */
} lb_status;
typedef int (*lb_status_fn)(void *ctx, const lb_status *);

typedef struct lb_event {
    uint32_t struct_size;
    uint32_t state;        /* of the build from here on */
    uint64_t cursor;       /* position; grows with each event of a build, starts above 0 */
    int64_t time_ns;       /* since 1970-01-01 UTC */
    lb_str type;           /* queued running step_started step_ended progress stopping complete failed error stopped ... */
    lb_str json;           /* the event as one JSON object */
} lb_event;
typedef int (*lb_event_fn)(void *ctx, const lb_event *);

typedef struct lb_status_source {
    uint32_t struct_size;
    uint32_t threads;

    int32_t (*open)(const lb_host *, lb_str config, void **self, lb_error *);
    void (*close)(void *self);

    /* Calls the receiver once. A build without any word of its state: LB_STATE_UNKNOWN and LB_OK.
     * LB_NOT_FOUND: no such build. */
    int32_t (*status)(void *self, const lb_call *, const lb_build *, lb_status_fn, void *ctx, lb_error *);
    /* The events behind `cursor` (0: from the first), oldest first. Where there is none yet: waits for one until the
     * deadline, and then returns LB_OK without having called the receiver. */
    int32_t (*poll)(void *self, const lb_call *, const lb_build *, uint64_t cursor, lb_event_fn, void *ctx, lb_error *);
} lb_status_source;

/* --------------------------------------------------------------------------------------------- ProcessController */

#define LB_PROCESS_ID "litbuild.process/1"

enum {
    LB_PROCESS_HOST_COMMANDS = 1,  /* the steps' programs are looked for on this host's file system */
    LB_PROCESS_ATOMIC_KILL = 2     /* a stop cannot be outrun by a process that forks */
};

typedef struct lb_launch {
    uint32_t struct_size;
    uint32_t reserved;
    lb_str team;
    int64_t runid;
    lb_str uuid;
    lb_str folder;           /* of the build */
    const lb_str *argv;      /* the command to start: the runner and its arguments */
    size_t argv_count;
    const lb_str *env;       /* NAME=value, on top of what the deployment gives */
    size_t env_count;
    lb_str limits;           /* JSON object: the spec's "limits"; empty: none */
    lb_str options;          /* JSON object: the spec's "process"; empty: none */
} lb_launch;

enum {
    LB_LIFE_UNKNOWN = 0,     /* cannot be told from here */
    LB_LIFE_QUEUED = 1,      /* accepted, not started */
    LB_LIFE_ALIVE = 2,
    LB_LIFE_GONE = 3
};

typedef struct lb_probe {
    uint32_t struct_size;
    uint32_t life;
    int32_t exit_code;       /* of the command, once gone; LB_NO_EXIT: not known */
    int32_t signal;          /* 0: none, or not known */
    lb_str evidence;         /* how it is known, in words: "host build7 has restarted since" */
    uint64_t left_overs;     /* processes of the build that live on although the command is gone */
} lb_probe;
typedef int (*lb_probe_fn)(void *ctx, const lb_probe *);

/* One step of a stop plan: send `signal` to every process of the build, and wait up to `grace_ns` until none is left.
 * The last one is a kill (signal 9), whose grace is how long to wait for what cannot be killed at once. */
typedef struct lb_stop_step {
    uint32_t struct_size;
    int32_t signal;
    int64_t grace_ns;
} lb_stop_step;

enum {
    LB_STOP_DONE = 1,         /* no process of the build is alive */
    LB_STOP_ALREADY = 2,      /* none was, before anything was sent */
    LB_STOP_REQUESTED = 3,    /* asked for where the build runs; no answer yet */
    LB_STOP_INCOMPLETE = 4    /* see `survivors` */
};

typedef struct lb_process_info {
    uint32_t struct_size;
    uint32_t state;           /* letter of its state as ps shows it: 'D'; 0: not known */
    int64_t pid;
    lb_str command;
    lb_str where;             /* what it hangs in; empty: not known */
    lb_str doubt;             /* why it may be none of the build's after all; empty: it is the build's */
} lb_process_info;

typedef struct lb_stop_report {
    uint32_t struct_size;
    uint32_t outcome;
    uint64_t killed;          /* processes that this call killed itself; those that the runner killed it says */
    int64_t took_ns;
    lb_str mechanism;         /* "runner", "cgroup", "scan", ... */
    const lb_process_info *survivors;
    size_t survivor_count;
} lb_stop_report;
typedef int (*lb_stop_report_fn)(void *ctx, const lb_stop_report *);

/* What a controller still holds of a launch: a container, a job. Since 1.3. */
typedef struct lb_held {
    uint32_t struct_size;
    uint32_t life;            /* LB_LIFE_* */
    lb_str team;
    int64_t runid;
    lb_str uuid;              /* of the build */
    lb_str token;             /* by which `forget` finds it */
    lb_str text;              /* what it is and how it stands: "its container c1 has ended" */
    lb_str action;            /* what a person may do to be rid of it: "docker rm c1" */
    uint32_t due;             /* 1: by the rules it was launched with it should be gone; `forget` loses nothing */
    uint32_t reserved;
} lb_held;
typedef int (*lb_held_fn)(void *ctx, const lb_held *);

typedef struct lb_process_controller {
    uint32_t struct_size;
    uint32_t threads;

    int32_t (*open)(const lb_host *, lb_str config, void **self, lb_error *);
    void (*close)(void *self);
    uint64_t (*capabilities)(void *self);

    /* Starts the command so that it outlives this process, and calls the receiver once with the token: text of at most
     * 4096 bytes that lets any process find it later. A token names one launch for ever: never a bare process id. */
    int32_t (*launch)(void *self, const lb_call *, const lb_launch *, lb_text_fn, void *ctx, lb_error *);
    int32_t (*probe)(void *self, const lb_call *, lb_str token, lb_probe_fn, void *ctx, lb_error *);
    /* Carries out the plan. The request already lies in the build's folder (`.control/stop.*`), where the runner reads
     * it; this call tells the runner to look, and ends the whole tree itself if the runner is gone or does not answer.
     * `uuid` is the build's; it stands in the environment of every process of the build as LITBUILD_UUID.
     * An empty token: the launching process died before there was one; the uuid alone tells what may be left. Who cannot go
     * by that says LB_UNSUPPORTED; another error is passed on as that of a stop that could not be tried. */
    int32_t (*stop)(void *self, const lb_call *, lb_str token, lb_str uuid, const lb_stop_step *plan, size_t plan_count,
                    lb_stop_report_fn, void *ctx, lb_error *);
    /* Waits until the command has ended, or the deadline; then as `probe`. */
    int32_t (*wait)(void *self, const lb_call *, lb_str token, lb_probe_fn, void *ctx, lb_error *);

    /* Since 1.3. */

    /* What it holds of a team's launches, or of all (empty), in any order, whatever engine and root they are of. */
    int32_t (*held)(void *self, const lb_call *, lb_str team, lb_held_fn, void *ctx, lb_error *);
    /* Removes what it holds of a launch that has ended, or was never started. LB_REFUSED: the launch is alive.
     * Where nothing is held: LB_OK. */
    int32_t (*forget)(void *self, const lb_call *, lb_str token, lb_error *);
} lb_process_controller;

/* ------------------------------------------------------------------------------------------------ the one symbol */

typedef struct lb_plugin {
    uint32_t struct_size;
    uint32_t abi;                     /* LITBUILD_ABI as compiled */
    lb_str name;                      /* as in the manifest */
    lb_str version;                   /* of the plugin */
    const void *(*get)(lb_str id);    /* LB_STORE_ID -> const lb_store *, ...; null: not provided. [any thread] */
} lb_plugin;

#if defined(__GNUC__)
#define LITBUILD_EXPORT __attribute__((visibility("default")))
#else
#define LITBUILD_EXPORT
#endif

/* A plugin that is linked into its host compiles with LITBUILD_PLUGIN_SYMBOL set to a name of its own. */
#ifndef LITBUILD_PLUGIN_SYMBOL
#define LITBUILD_PLUGIN_SYMBOL litbuild_plugin_v1
#endif
extern LITBUILD_EXPORT const lb_plugin LITBUILD_PLUGIN_SYMBOL;

#ifdef __cplusplus
}
#endif
#endif
