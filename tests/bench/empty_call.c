/* A function behind a C table that does nothing, in a translation unit of its own. */
#include "empty_call.h"

static int32_t nothing(void *self, const lb_call *call, lb_error *error)
{
    (void)self;
    (void)call;
    (void)error;
    return LB_OK;
}

const empty_table empty = {nothing};
