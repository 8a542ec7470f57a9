#ifndef EMPTY_CALL_H
#define EMPTY_CALL_H
#include <litbuild/plugin.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct empty_table { int32_t (*call)(void *self, const lb_call *, lb_error *); } empty_table;
extern const empty_table empty;
#ifdef __cplusplus
}
#endif
#endif
