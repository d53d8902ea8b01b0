//! Rust types of `wit/plugin.wit`, generated; the host's side of every interface is in `host/`.

#![allow(unreachable_pub, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "everything",
    imports: {
        "standfast:plugin/actions": async,
        "standfast:plugin/processes": async,
        "standfast:plugin/net": async,
        "standfast:plugin/mail": async,
        "standfast:plugin/files": async,
    },
    exports: { default: async },
});
