//! Rust types of `wit/plugin.wit`, generated; the host's side of every interface is in `host/`.
//! What it tells to `tracing` is for `trace`; where nobody listens it costs nothing.

#![allow(unreachable_pub, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "everything",
    imports: {
        "standfast:plugin/actions": async | tracing | verbose_tracing,
        "standfast:plugin/processes": async | tracing | verbose_tracing,
        "standfast:plugin/net": async | tracing | verbose_tracing,
        "standfast:plugin/mail": async | tracing | verbose_tracing,
        "standfast:plugin/files": async | tracing | verbose_tracing,
        default: tracing | verbose_tracing,
    },
    exports: { default: async },
});
