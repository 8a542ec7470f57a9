/* The engine from C: embed ROOT */
#include <stdio.h>
#include <string.h>

#include <litbuild/litbuild.h>

static lb_str text(const char *from)
{
    lb_str out = {from, strlen(from)};
    return out;
}

static int print_text(void *label, lb_str value)
{
    printf("%s%.*s\n", (const char *)label, (int)value.size, value.data);
    return 0;
}

static int print_status(void *ctx, const lb_status *status)
{
    *(uint32_t *)ctx = status->state;
    printf("state %u, %zu step(s)\n", status->state, status->step_count);
    return 0;
}

static int print_summary(void *ctx, const litbuild_summary *summary)
{
    ++*(int *)ctx;
    printf("%.*s\n", (int)summary->json.size, summary->json.data);
    return 0;
}

static int print_stop(void *ctx, const litbuild_stop_result *result)
{
    *(uint32_t *)ctx = result->outcome;
    printf("%.*s\n", (int)result->message.size, result->message.data);
    return 0;
}

static int take_event(void *ctx, const lb_event *event)
{
    (void)event;
    ++*(int *)ctx;
    return 0;
}

static int failed(const char *what, const lb_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->message);
    return 1;
}

int main(int argc, char **argv)
{
    char json[4096];
    lb_error error = {sizeof error, 0, ""};
    litbuild_config config;
    litbuild_engine *engine;
    litbuild_canceller *canceller;
    lb_call call = {sizeof call, -1, 0, NULL, NULL};
    litbuild_stop_options options;
    lb_build build = {sizeof build, 0, {"contoso", 7}, 0};
    uint32_t state = 0, outcome = 0;
    int count = 0;

    if (argc != 2) return 2;
    printf("litbuild %s\n", litbuild_version());
    snprintf(json, sizeof json, "{\"root\": \"%s\"}", argv[1]);
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.json = text(json);
    if (litbuild_open(&config, &engine, &error) != LB_OK) return failed("open", &error);

    /* A build that ends by itself. */
    if (litbuild_launch(engine, NULL, build.team,
                        text("{\"steps\": [{\"command\": [\"echo\", \"hello\"]}], \"tags\": [\"c\"]}"), &build.runid,
                        &error) != LB_OK)
        return failed("launch", &error);
    litbuild_call_init(&call, NULL, 60000);
    if (litbuild_wait(engine, &call, &build, print_status, &state, &error) != LB_OK) return failed("wait", &error);
    if (state != LB_STATE_COMPLETE) return 1;
    if (litbuild_follow(engine, NULL, &build, 0, print_text, "log: ", NULL, &error) != LB_OK) return failed("follow", &error);
    if (litbuild_events(engine, NULL, &build, 0, take_event, &count, &error) != LB_OK) return failed("events", &error);
    printf("%d events\n", count);
    if (litbuild_archive(engine, NULL, &build, print_text, "archived: ", &error) != LB_OK) return failed("archive", &error);
    if (litbuild_restore(engine, NULL, &build, print_text, "restored: ", &error) != LB_OK) return failed("restore", &error);

    /* And one that is stopped. */
    if (litbuild_launch(engine, NULL, build.team, text("{\"steps\": [{\"command\": [\"sleep\", \"600\"]}]}"), &build.runid,
                        &error) != LB_OK)
        return failed("launch", &error);
    if (litbuild_archive(engine, NULL, &build, NULL, NULL, &error) != LB_REFUSED) return 1;
    printf("refused: %s\n", error.message);
    /* Nobody waits for ever: a deadline, or another thread that cancels. */
    litbuild_call_init(&call, NULL, 1);
    if (litbuild_wait(engine, &call, &build, NULL, NULL, &error) != LB_TIMEOUT) return 1;
    printf("timeout: %s\n", error.message);
    canceller = litbuild_canceller_new();
    if (!canceller) return 1;
    litbuild_call_init(&call, canceller, 0);
    litbuild_cancel(canceller);
    if (litbuild_wait(engine, &call, &build, NULL, NULL, &error) != LB_CANCELLED) return 1;
    printf("cancelled: %s\n", error.message);
    litbuild_canceller_free(canceller);

    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.grace_ms = LITBUILD_GRACE_OF_PLAN;
    options.reason = text("enough seen");
    if (litbuild_stop(engine, NULL, &build, &options, print_stop, &outcome, &error) != LB_OK) return failed("stop", &error);
    if (outcome != LITBUILD_STOPPED) return 1;

    count = 0;
    if (litbuild_list(engine, NULL, build.team, NULL, print_summary, &count, &error) != LB_OK) return failed("list", &error);
    litbuild_close(engine);
    return count == 2 ? 0 : 1;
}
