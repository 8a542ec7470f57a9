/* A plugin of another time. The test compiles it with ABI, SIZE and SYMBOL set. */
#define LITBUILD_PLUGIN_SYMBOL SYMBOL
#include <litbuild/plugin.h>

#ifndef SIZE
#define SIZE sizeof(lb_plugin)
#endif

static const void *get(lb_str id)
{
    (void)id;
    /* To be asked at all is the fault. */
    __builtin_trap();
}

const lb_plugin SYMBOL = {SIZE, ABI, {"wrong-abi", 9}, {"1.0.0", 5}, get};
