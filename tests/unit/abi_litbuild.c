/* The shape of the C API, byte by byte, as unit/abi.c has that of the plugin contract: compiling this file is the test.
 * A struct may grow at its end, and nothing else. */
#include <litbuild/litbuild.h>

#if !defined(__LP64__)
#error "these are the numbers of 64-bit Linux; write down those of this platform before shipping on it"
#endif

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has changed its size")
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), #type "." #field " has moved")
#define IS(constant, value) _Static_assert((constant) == (value), #constant " has changed its value")

SIZE(litbuild_config, 48);
AT(litbuild_config, struct_size, 0);
AT(litbuild_config, plugin_count, 4);
AT(litbuild_config, json, 8);
AT(litbuild_config, log, 24);
AT(litbuild_config, log_ctx, 32);
AT(litbuild_config, plugins, 40);

SIZE(litbuild_summary, 72);
AT(litbuild_summary, struct_size, 0);
AT(litbuild_summary, scope, 4);
AT(litbuild_summary, build, 8);
AT(litbuild_summary, path, 16);
AT(litbuild_summary, tags, 32);
AT(litbuild_summary, tag_count, 40);
AT(litbuild_summary, status, 48);
AT(litbuild_summary, json, 56);

SIZE(litbuild_filter, 64);
AT(litbuild_filter, struct_size, 0);
AT(litbuild_filter, scope, 4);
AT(litbuild_filter, tag, 8);
AT(litbuild_filter, state, 24);
AT(litbuild_filter, limit, 40);
AT(litbuild_filter, before, 48);
AT(litbuild_filter, since, 56);

SIZE(litbuild_stop_options, 48);
AT(litbuild_stop_options, struct_size, 0);
AT(litbuild_stop_options, reserved, 4);
AT(litbuild_stop_options, grace_ms, 8);
AT(litbuild_stop_options, by, 16);
AT(litbuild_stop_options, reason, 32);

SIZE(litbuild_stop_result, 32);
AT(litbuild_stop_result, struct_size, 0);
AT(litbuild_stop_result, outcome, 4);
AT(litbuild_stop_result, message, 8);
AT(litbuild_stop_result, report, 24);

SIZE(litbuild_change, 32);
AT(litbuild_change, struct_size, 0);
AT(litbuild_change, kind, 4);
AT(litbuild_change, build, 8);
AT(litbuild_change, status, 16);
AT(litbuild_change, delay_ms, 24);
AT(litbuild_change, reserved, 28);

IS(LITBUILD_GRACE_OF_PLAN, -1);
IS(LITBUILD_STOPPED, 1);
IS(LITBUILD_ALREADY_FINISHED, 2);
IS(LITBUILD_REQUESTED, 3);
IS(LITBUILD_INCOMPLETE, 4);
