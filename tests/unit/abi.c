/* The shape of the plugin contract, byte by byte: compiling this file is the test.
 *
 * A plugin that was built last year is a set of offsets. AT(...) and IS(...) may never change within a major version; a
 * minor version appends fields, which adds lines here and raises the SIZE of their struct, and nothing else. */
#include <litbuild/plugin.h>

#if !defined(__LP64__)
#error "these are the numbers of 64-bit Linux; write down those of this platform before shipping on it"
#endif

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has changed its size")
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), #type "." #field " has moved")
#define IS(constant, value) _Static_assert((constant) == (value), #constant " has changed its value")
/* Rule 1: the size is the first field of what grows, and 32 bits wide. */
#define SIZED(type) _Static_assert(sizeof(((type *)0)->struct_size) == 4, #type ".struct_size is not 32 bits wide")

SIZE(lb_str, 16);
AT(lb_str, data, 0);
AT(lb_str, size, 8);

SIZE(lb_error, 512);
SIZED(lb_error);
AT(lb_error, struct_size, 0);
AT(lb_error, os_errno, 4);
AT(lb_error, message, 8);

SIZE(lb_call, 32);
SIZED(lb_call);
AT(lb_call, struct_size, 0);
AT(lb_call, cancel_fd, 4);
AT(lb_call, deadline_ns, 8);
AT(lb_call, cancelled, 16);
AT(lb_call, progress, 24);

SIZE(lb_host, 72);
SIZED(lb_host);
AT(lb_host, struct_size, 0);
AT(lb_host, abi, 4);
AT(lb_host, name, 8);
AT(lb_host, version, 24);
AT(lb_host, ctx, 40);
AT(lb_host, log, 48);
AT(lb_host, now_ns, 56);
AT(lb_host, service, 64);

SIZE(lb_build, 32);
SIZED(lb_build);
AT(lb_build, struct_size, 0);
AT(lb_build, reserved, 4);
AT(lb_build, team, 8);
AT(lb_build, runid, 24);

SIZE(lb_entry, 32);
SIZED(lb_entry);
AT(lb_entry, struct_size, 0);
AT(lb_entry, scope, 4);
AT(lb_entry, runid, 8);
AT(lb_entry, path, 16);

SIZE(lb_query, 40);
SIZED(lb_query);
AT(lb_query, struct_size, 0);
AT(lb_query, scope, 4);
AT(lb_query, team, 8);
AT(lb_query, before, 24);
AT(lb_query, limit, 32);

SIZE(lb_file, 40);
SIZED(lb_file);
AT(lb_file, struct_size, 0);
AT(lb_file, reserved, 4);
AT(lb_file, name, 8);
AT(lb_file, content, 24);

SIZE(lb_new_build, 72);
SIZED(lb_new_build);
AT(lb_new_build, struct_size, 0);
AT(lb_new_build, reserved, 4);
AT(lb_new_build, team, 8);
AT(lb_new_build, uuid, 24);
AT(lb_new_build, document, 40);
AT(lb_new_build, files, 56);
AT(lb_new_build, file_count, 64);

SIZE(lb_finding, 64);
SIZED(lb_finding);
AT(lb_finding, struct_size, 0);
AT(lb_finding, state, 4);
AT(lb_finding, runid, 8);
AT(lb_finding, kind, 16);
AT(lb_finding, text, 32);
AT(lb_finding, action, 48);

SIZE(lb_change, 24);
SIZED(lb_change);
AT(lb_change, struct_size, 0);
AT(lb_change, kind, 4);
AT(lb_change, runid, 8);
AT(lb_change, delay_ms, 16);
AT(lb_change, reserved, 20);

SIZE(lb_store, 200);
SIZED(lb_store);
AT(lb_store, struct_size, 0);
AT(lb_store, threads, 4);
AT(lb_store, open, 8);
AT(lb_store, close, 16);
AT(lb_store, capabilities, 24);
AT(lb_store, teams, 32);
AT(lb_store, list, 40);
AT(lb_store, find, 48);
AT(lb_store, create, 56);
AT(lb_store, archive, 64);
AT(lb_store, restore, 72);
AT(lb_store, tags, 80);
AT(lb_store, edit_tags, 88);
AT(lb_store, read, 96);
AT(lb_store, write_control, 104);
AT(lb_store, remove, 112);
AT(lb_store, examine, 120);
AT(lb_store, watch, 128);
AT(lb_store, age, 136);
AT(lb_store, as_of_ms, 144);
AT(lb_store, version, 152);
AT(lb_store, notes, 160);
AT(lb_store, read_note, 168);
AT(lb_store, write_note, 176);
AT(lb_store, swap_note, 184);
AT(lb_store, remove_note, 192);

SIZE(lb_reader, 24);
SIZED(lb_reader);
AT(lb_reader, struct_size, 0);
AT(lb_reader, reserved, 4);
AT(lb_reader, ctx, 8);
AT(lb_reader, read, 16);

SIZE(lb_step, 64);
SIZED(lb_step);
AT(lb_step, struct_size, 0);
AT(lb_step, state, 4);
AT(lb_step, name, 8);
AT(lb_step, parent, 24);
AT(lb_step, exit_code, 28);
AT(lb_step, signal, 32);
AT(lb_step, reserved, 36);
AT(lb_step, started_ns, 40);
AT(lb_step, ended_ns, 48);
AT(lb_step, progress, 56);

SIZE(lb_status, 176);
SIZED(lb_status);
AT(lb_status, struct_size, 0);
AT(lb_status, state, 4);
AT(lb_status, time_ns, 8);
AT(lb_status, created_ns, 16);
AT(lb_status, started_ns, 24);
AT(lb_status, ended_ns, 32);
AT(lb_status, cursor, 40);
AT(lb_status, current_step, 48);
AT(lb_status, exit_code, 52);
AT(lb_status, signal, 56);
AT(lb_status, reserved, 60);
AT(lb_status, progress, 64);
AT(lb_status, message, 72);
AT(lb_status, error, 88);
AT(lb_status, stopped_by, 104);
AT(lb_status, reason, 120);
AT(lb_status, steps, 136);
AT(lb_status, step_count, 144);
AT(lb_status, detail, 152);
AT(lb_status, as_of_ms, 168);

SIZE(lb_event, 56);
SIZED(lb_event);
AT(lb_event, struct_size, 0);
AT(lb_event, state, 4);
AT(lb_event, cursor, 8);
AT(lb_event, time_ns, 16);
AT(lb_event, type, 24);
AT(lb_event, json, 40);

SIZE(lb_status_source, 40);
SIZED(lb_status_source);
AT(lb_status_source, struct_size, 0);
AT(lb_status_source, threads, 4);
AT(lb_status_source, open, 8);
AT(lb_status_source, close, 16);
AT(lb_status_source, status, 24);
AT(lb_status_source, poll, 32);

SIZE(lb_launch, 128);
SIZED(lb_launch);
AT(lb_launch, struct_size, 0);
AT(lb_launch, reserved, 4);
AT(lb_launch, team, 8);
AT(lb_launch, runid, 24);
AT(lb_launch, uuid, 32);
AT(lb_launch, folder, 48);
AT(lb_launch, argv, 64);
AT(lb_launch, argv_count, 72);
AT(lb_launch, env, 80);
AT(lb_launch, env_count, 88);
AT(lb_launch, limits, 96);
AT(lb_launch, options, 112);

SIZE(lb_probe, 40);
SIZED(lb_probe);
AT(lb_probe, struct_size, 0);
AT(lb_probe, life, 4);
AT(lb_probe, exit_code, 8);
AT(lb_probe, signal, 12);
AT(lb_probe, evidence, 16);
AT(lb_probe, left_overs, 32);

SIZE(lb_stop_step, 16);
SIZED(lb_stop_step);
AT(lb_stop_step, struct_size, 0);
AT(lb_stop_step, signal, 4);
AT(lb_stop_step, grace_ns, 8);

SIZE(lb_process_info, 64);
SIZED(lb_process_info);
AT(lb_process_info, struct_size, 0);
AT(lb_process_info, state, 4);
AT(lb_process_info, pid, 8);
AT(lb_process_info, command, 16);
AT(lb_process_info, where, 32);
AT(lb_process_info, doubt, 48);

SIZE(lb_stop_report, 56);
SIZED(lb_stop_report);
AT(lb_stop_report, struct_size, 0);
AT(lb_stop_report, outcome, 4);
AT(lb_stop_report, killed, 8);
AT(lb_stop_report, took_ns, 16);
AT(lb_stop_report, mechanism, 24);
AT(lb_stop_report, survivors, 40);
AT(lb_stop_report, survivor_count, 48);

SIZE(lb_held, 104);
SIZED(lb_held);
AT(lb_held, struct_size, 0);
AT(lb_held, life, 4);
AT(lb_held, team, 8);
AT(lb_held, runid, 24);
AT(lb_held, uuid, 32);
AT(lb_held, token, 48);
AT(lb_held, text, 64);
AT(lb_held, action, 80);
AT(lb_held, due, 96);
AT(lb_held, reserved, 100);

SIZE(lb_process_controller, 80);
SIZED(lb_process_controller);
AT(lb_process_controller, struct_size, 0);
AT(lb_process_controller, threads, 4);
AT(lb_process_controller, open, 8);
AT(lb_process_controller, close, 16);
AT(lb_process_controller, capabilities, 24);
AT(lb_process_controller, launch, 32);
AT(lb_process_controller, probe, 40);
AT(lb_process_controller, stop, 48);
AT(lb_process_controller, wait, 56);
AT(lb_process_controller, held, 64);
AT(lb_process_controller, forget, 72);

SIZE(lb_plugin, 48);
SIZED(lb_plugin);
AT(lb_plugin, struct_size, 0);
AT(lb_plugin, abi, 4);
AT(lb_plugin, name, 8);
AT(lb_plugin, version, 24);
AT(lb_plugin, get, 40);

/* Numbers that cross the edge. */
IS(LITBUILD_ABI, 0x10004u);
IS(LITBUILD_ABI_MAJOR, 1u);
IS(LITBUILD_ABI_MINOR, 4u);
IS(LB_OK, 0);
IS(LB_NOT_FOUND, 1);
IS(LB_EXISTS, 2);
IS(LB_DENIED, 3);
IS(LB_INVALID, 4);
IS(LB_UNSUPPORTED, 5);
IS(LB_UNAVAILABLE, 6);
IS(LB_NO_SPACE, 7);
IS(LB_CORRUPT, 8);
IS(LB_CANCELLED, 9);
IS(LB_TIMEOUT, 10);
IS(LB_INTERNAL, 11);
IS(LB_REFUSED, 12);
IS(LB_LOG_DEBUG, 0);
IS(LB_LOG_INFO, 1);
IS(LB_LOG_WARNING, 2);
IS(LB_LOG_ERROR, 3);
IS(LB_SERIAL, 0);
IS(LB_PARALLEL, 1);
IS(LB_LIVE, 1);
IS(LB_ARCHIVED, 2);
IS(LB_ALL, 3);
IS(LB_STORE_DURABLE, 1);
IS(LB_STORE_SHARED, 2);
IS(LB_STORE_LOCAL_PATH, 4);
IS(LB_FOUND_REPAIRED, 1);
IS(LB_FOUND_REPAIRABLE, 2);
IS(LB_FOUND_LEFT, 3);
IS(LB_REPAIR_NO, 0);
IS(LB_REPAIR_YES, 1);
IS(LB_CHANGE_WATCHING, 1);
IS(LB_CHANGE_CREATED, 2);
IS(LB_CHANGE_CHANGED, 3);
IS(LB_CHANGE_ARCHIVED, 4);
IS(LB_CHANGE_RESTORED, 5);
IS(LB_CHANGE_REMOVED, 6);
IS(LB_STATE_UNKNOWN, 0);
IS(LB_STATE_QUEUED, 1);
IS(LB_STATE_RUNNING, 2);
IS(LB_STATE_STOPPING, 3);
IS(LB_STATE_COMPLETE, 4);
IS(LB_STATE_FAILED, 5);
IS(LB_STATE_ERROR, 6);
IS(LB_STATE_STOPPED, 7);
IS(LB_STATE_LOST, 8);
IS(LB_PROCESS_HOST_COMMANDS, 1);
IS(LB_PROCESS_ATOMIC_KILL, 2);
IS(LB_LIFE_UNKNOWN, 0);
IS(LB_LIFE_QUEUED, 1);
IS(LB_LIFE_ALIVE, 2);
IS(LB_LIFE_GONE, 3);
IS(LB_STOP_DONE, 1);
IS(LB_STOP_ALREADY, 2);
IS(LB_STOP_REQUESTED, 3);
IS(LB_STOP_INCOMPLETE, 4);
IS(LB_NO_EXIT, -1);

/* Names that cross the edge, by their length (with the zero byte): a changed one is another interface. */
IS(sizeof LB_STORE_ID, sizeof "litbuild.store/1");
IS(sizeof LB_STATUS_ID, sizeof "litbuild.status/1");
IS(sizeof LB_READER_ID, sizeof "litbuild.reader/1");
IS(sizeof LB_PROCESS_ID, sizeof "litbuild.process/1");
