/* litbuild/litbuild.h - the engine in C, for embedders in any language: launch data builds, tell their status, stop, archive
 * and restore them. Link liblitbuild. C++ has <litbuild/engine.hpp>, whose functions of the same names say more.
 *
 * It keeps the five rules of <litbuild/plugin.h>, whose values it uses:
 *   1. A struct starts with the size its author compiled (`struct_size`); fields that the author did not know are zero.
 *   2. Fields and functions are only added. A null receiver means "do not tell me".
 *   3. What is passed in, to a function or to a receiver, is borrowed until the call returns. Nobody frees the other side's
 *      memory; an engine and a canceller are given back to the function that frees them.
 *   4. Calls block, may come from any thread, carry a deadline and a cancel handle (`lb_call`; null: neither), and never
 *      unwind. A receiver is called in the thread of the call, returns 0, or non-zero for "enough", and never unwinds.
 *   5. The library is never unloaded.
 *
 * Every function that returns int32_t returns LB_OK or one of the codes of <litbuild/plugin.h>, and then fills the error
 * (caller-owned; null: not wanted) with one sentence that starts with the object: "contoso/19: is running; stop it before
 * archiving". A call without a deadline has the configuration's (30 s); those that say "waits" have as long as it takes.
 */
#ifndef LITBUILD_LITBUILD_H
#define LITBUILD_LITBUILD_H

#include <litbuild/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the library: "0.1.0". */
LITBUILD_EXPORT const char *litbuild_version(void);
/* The clock of lb_call.deadline_ns: CLOCK_MONOTONIC, in nanoseconds. */
LITBUILD_EXPORT int64_t litbuild_now_ns(void);

/* ---------------------------------------------------------------------------------------------------- cancelling */

/* Cancels the calls that litbuild_call_init() gave it; once cancelled it stays so. Must outlive those calls. */
typedef struct litbuild_canceller litbuild_canceller;
/* Null: no descriptor or no memory is left. */
LITBUILD_EXPORT litbuild_canceller *litbuild_canceller_new(void);
/* From any thread, and from a signal handler. Null is allowed. */
LITBUILD_EXPORT void litbuild_cancel(litbuild_canceller *);
LITBUILD_EXPORT void litbuild_canceller_free(litbuild_canceller *);

/* Makes `call` one that the canceller (null: nothing) cancels, and that has to be done `timeout_ms` from now on (0: no
 * deadline). `call->struct_size` is set before. One call may serve several functions. */
LITBUILD_EXPORT void litbuild_call_init(lb_call *call, litbuild_canceller *, uint64_t timeout_ms);

/* -------------------------------------------------------------------------------------------------------- engine */

typedef struct litbuild_engine litbuild_engine;

typedef struct litbuild_config {
    uint32_t struct_size;
    uint32_t plugin_count;
    /* A JSON object, as Config::from_json has it: {"root": "/data", "plugin_folders": [...], ...}. Empty: {}. */
    lb_str json;
    /* Receives one line for the operator; `level` is one of LB_LOG_*. Any thread. Null: nothing is logged. */
    void (*log)(void *log_ctx, int32_t level, lb_str line);
    void *log_ctx;
    /* Plugins that are linked into this program; they and the array's entries must live as long as the process. */
    const lb_plugin *const *plugins;
} litbuild_config;

/* LB_INVALID: the configuration makes no sense. LB_NOT_FOUND: the root, the runner or a plugin is not there. */
LITBUILD_EXPORT int32_t litbuild_open(const litbuild_config *, litbuild_engine **engine, lb_error *);
/* After the last call on it has returned. Null is allowed. */
LITBUILD_EXPORT void litbuild_close(litbuild_engine *);

/* -------------------------------------------------------------------------------------------------------- values */

typedef struct litbuild_summary {
    uint32_t struct_size;
    uint32_t scope;            /* LB_LIVE or LB_ARCHIVED */
    const lb_build *build;
    lb_str path;               /* folder of the artifacts, where it is now */
    const lb_str *tags;
    size_t tag_count;
    const lb_status *status;
    lb_str json;               /* all of it as one JSON object on one line, for languages to which that comes easier */
} litbuild_summary;

/* Which builds of a team; all zero, and null: the main list, whole. */
typedef struct litbuild_filter {
    uint32_t struct_size;
    uint32_t scope;            /* LB_LIVE, LB_ARCHIVED or LB_ALL; 0: LB_LIVE */
    lb_str tag;                /* only builds that have it; empty: whatever they have */
    lb_str state;              /* only builds that are in it ("failed"); empty: in any */
    uint64_t limit;            /* at most so many; 0: all */
    int64_t before;            /* only run ids below this one; 0: all */
    int64_t since;             /* only builds that were started then or later: ns since 1970, UTC; 0: all */
} litbuild_filter;

enum { LITBUILD_GRACE_OF_PLAN = -1 };

typedef struct litbuild_stop_options {
    uint32_t struct_size;
    uint32_t reserved;
    int64_t grace_ms;          /* until it is killed; 0: at once; LITBUILD_GRACE_OF_PLAN: the build's own */
    lb_str by;                 /* who asks. Empty: the user and the host of this process */
    lb_str reason;             /* why, for the status */
} litbuild_stop_options;

enum {
    LITBUILD_STOPPED = 1,            /* no process of the build is alive */
    LITBUILD_ALREADY_FINISHED = 2,   /* it had ended by itself */
    LITBUILD_REQUESTED = 3,          /* it runs where this host cannot reach; the request lies in its folder */
    LITBUILD_INCOMPLETE = 4          /* see report->survivors */
};

typedef struct litbuild_stop_result {
    uint32_t struct_size;
    uint32_t outcome;          /* LITBUILD_STOPPED ... */
    lb_str message;            /* "Build id 19 has been stopped" */
    const lb_stop_report *report;
} litbuild_stop_result;

typedef int (*litbuild_summary_fn)(void *ctx, const litbuild_summary *);
typedef int (*litbuild_stop_fn)(void *ctx, const litbuild_stop_result *);

/* Something that happened to a build of a team that is watched. */
typedef struct litbuild_change {
    uint32_t struct_size;
    uint32_t kind;             /* LB_CHANGE_* */
    const lb_build *build;     /* runid 0 with LB_CHANGE_WATCHING */
    const lb_status *status;   /* as it was found then; null with LB_CHANGE_WATCHING and LB_CHANGE_REMOVED, or not known */
    uint32_t delay_ms;         /* with LB_CHANGE_WATCHING: how late a change may be told; 0: as it happens */
    uint32_t reserved;
} litbuild_change;
typedef int (*litbuild_change_fn)(void *ctx, const litbuild_change *);

/* --------------------------------------------------------------------------------------------------------- teams */

LITBUILD_EXPORT int32_t litbuild_teams(const litbuild_engine *, const lb_call *, lb_text_fn, void *ctx, lb_error *);
/* A team's builds, the newest first. The receiver's time counts against the deadline. LB_NOT_FOUND: no such team.
 * LB_TIMEOUT: not all were told; those that were are the newest. */
LITBUILD_EXPORT int32_t litbuild_list(const litbuild_engine *, const lb_call *, lb_str team, const litbuild_filter *,
                                      litbuild_summary_fn, void *ctx, lb_error *);
/* A new build, running; `spec` is a JSON object, see Engine::launch. LB_INVALID: it makes no sense; no build was made. */
LITBUILD_EXPORT int32_t litbuild_launch(const litbuild_engine *, const lb_call *, lb_str team, lb_str spec, int64_t *runid,
                                        lb_error *);
/* What happens to a team's builds, first LB_CHANGE_WATCHING, from which on nothing is missed. Waits until the receiver has
 * enough, or the deadline. */
LITBUILD_EXPORT int32_t litbuild_watch(const litbuild_engine *, const lb_call *, lb_str team, litbuild_change_fn, void *ctx,
                                       lb_error *);
/* What crashes, people and other programs have left in a team; LB_REPAIR_YES puts right what can be put right without losing
 * anything. */
LITBUILD_EXPORT int32_t litbuild_examine(const litbuild_engine *, const lb_call *, lb_str team, uint32_t repair,
                                         lb_finding_fn, void *ctx, lb_error *);

/* -------------------------------------------------------------------------------------------------------- builds */
/* A build that is not there is LB_NOT_FOUND; a receiver is called once, unless it is said otherwise. */

LITBUILD_EXPORT int32_t litbuild_summarize(const litbuild_engine *, const lb_call *, const lb_build *, litbuild_summary_fn,
                                           void *ctx, lb_error *);
LITBUILD_EXPORT int32_t litbuild_path(const litbuild_engine *, const lb_call *, const lb_build *, lb_text_fn, void *ctx,
                                      lb_error *);
LITBUILD_EXPORT int32_t litbuild_get_status(const litbuild_engine *, const lb_call *, const lb_build *, lb_status_fn,
                                            void *ctx, lb_error *);
/* Called for each tag, in order. */
LITBUILD_EXPORT int32_t litbuild_tags(const litbuild_engine *, const lb_call *, const lb_build *, lb_text_fn, void *ctx,
                                      lb_error *);
/* Removes, then adds those that are missing, then as litbuild_tags(). */
LITBUILD_EXPORT int32_t litbuild_edit_tags(const litbuild_engine *, const lb_call *, const lb_build *, const lb_str *add,
                                           size_t add_count, const lb_str *remove, size_t remove_count, lb_text_fn,
                                           void *ctx, lb_error *);
/* Hides the build from the main list, and the way back; the receiver is given the new path. May take long; so each has as
 * long as it takes. LB_REFUSED: it is running. */
LITBUILD_EXPORT int32_t litbuild_archive(const litbuild_engine *, const lb_call *, const lb_build *, lb_text_fn, void *ctx,
                                         lb_error *);
LITBUILD_EXPORT int32_t litbuild_restore(const litbuild_engine *, const lb_call *, const lb_build *, lb_text_fn, void *ctx,
                                         lb_error *);
/* Removes an archived build for ever. LB_REFUSED: it is not archived, or it has processes. */
LITBUILD_EXPORT int32_t litbuild_remove(const litbuild_engine *, const lb_call *, const lb_build *, lb_error *);
/* Stops the process and all its subprocesses; null options: the build's own. Without a deadline as long as the plan takes.
 * LB_OK is no proof: the outcome tells. */
LITBUILD_EXPORT int32_t litbuild_stop(const litbuild_engine *, const lb_call *, const lb_build *,
                                      const litbuild_stop_options *, litbuild_stop_fn, void *ctx, lb_error *);
/* Waits until the build has ended. LB_TIMEOUT: it has not by the deadline. */
LITBUILD_EXPORT int32_t litbuild_wait(const litbuild_engine *, const lb_call *, const lb_build *, lb_status_fn, void *ctx,
                                      lb_error *);
/* The log from `offset` on, as it grows, piece by piece; waits until the build has ended, the receiver has enough or the
 * deadline has passed. `*end` (null: not wanted): behind the last byte that was given. */
LITBUILD_EXPORT int32_t litbuild_follow(const litbuild_engine *, const lb_call *, const lb_build *, uint64_t offset,
                                        lb_text_fn, void *ctx, uint64_t *end, lb_error *);
/* The events behind `cursor` (0: from the first), one by one. Where there is none yet: waits for one; none come once the build
 * has ended or the deadline has passed. */
LITBUILD_EXPORT int32_t litbuild_events(const litbuild_engine *, const lb_call *, const lb_build *, uint64_t cursor,
                                        lb_event_fn, void *ctx, lb_error *);
/* Bytes of a file in the build's folder, in pieces; `max` 0: to its end. */
LITBUILD_EXPORT int32_t litbuild_read(const litbuild_engine *, const lb_call *, const lb_build *, lb_str file, uint64_t offset,
                                      uint64_t max, lb_text_fn, void *ctx, lb_error *);

#ifdef __cplusplus
}
#endif
#endif
