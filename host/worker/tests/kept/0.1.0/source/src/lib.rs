//! A check that calls every function of the interface once, and a hook that gets ready and says what it was told.

#[cfg(feature = "check")]
mod check {
    wit_bindgen::generate!({ path: "wit", world: "check-plugin" });

    use exports::standfast::plugin::check::{Failure, Guest, Verdict};
    use standfast::plugin::log::{Level, write};
    use standfast::plugin::processes::Query;
    use standfast::plugin::types::Status;
    use standfast::plugin::{actions, config, context, files, metrics, net, processes, state};

    struct Kept;

    impl Guest for Kept {
        fn run() -> Result<Verdict, Failure> {
            let limit = config::get("limit").ok_or_else(|| Failure::Config("`limit` is missing".into()))?;
            let said = [
                format!("{} {:?} {}", limit, config::get_all("hosts"), config::keys().join("+")),
                config::get_json(),
                format!("{} {:?}", context::name(), context::previous()),
                format!("{:?}", context::instance_state("VI_1")),
                format!("{}", context::run_number() > 0 && context::remaining_ms() > 0),
                format!("{:?} {:?}", state::set("k", b"v"), state::get("k")),
                format!("{:?}", state::add("n", 2)),
                format!("{:?}", files::stat("/nothing").err()),
                format!("{:?}", files::read("/nothing", 10).err()),
                format!("{:?}", processes::find(&Query::Comm("nothing".into())).err()),
                format!("{}", processes::alive(1, 1)),
                format!("{:?}", net::tcp_connect("127.0.0.1", 1, 10).err()),
                format!("{:?}", net::tcp_exchange("127.0.0.1", 1, b"a", b"b", 1, 10).err()),
                format!("{:?}", net::udp_exchange("127.0.0.1", 1, b"a", 10).err()),
                format!("{:?}", net::ping("127.0.0.1", 10).err()),
                format!("{:?}", net::http("GET", "http://127.0.0.1:1/", &[], b"", 10).err()),
                format!("{:?}", actions::run("nothing", &[]).err()),
            ];
            state::delete("k");
            metrics::gauge("level", 0.5, &[]);
            metrics::count("calls", 1, &[("kind".into(), "kept".into())]);
            for line in &said {
                write(Level::Info, line, &[]);
            }
            Ok(Verdict {
                status: Status::Warn,
                message: said.join("|"),
                weight: Some(-5),
                next_ms: Some(700),
            })
        }
    }

    export!(Kept);
}

#[cfg(feature = "hook")]
mod hook {
    wit_bindgen::generate!({
        inline: "package kept:hook; world hook { include standfast:plugin/notify-plugin@0.1.0; \
                 export standfast:plugin/lifecycle@0.1.0; }",
        path: "wit",
        world: "kept:hook/hook",
        generate_all,
    });

    use exports::standfast::plugin::notify::{Event, Subject};
    use exports::standfast::plugin::{lifecycle, notify};
    use standfast::plugin::log::{Level, write};
    use standfast::plugin::types::Failure;

    struct Kept;

    impl lifecycle::Guest for Kept {
        fn start() -> Result<(), Failure> {
            write(Level::Debug, "ready", &[]);
            Ok(())
        }
    }

    impl notify::Guest for Kept {
        fn handle(event: Event) -> Result<(), Failure> {
            let subject = match &event.subject {
                Subject::Instance(name) | Subject::Group(name) | Subject::Check(name) | Subject::Service(name) => name,
                Subject::Daemon => "daemon",
            };
            let (was, now) = (event.was, event.now);
            let (priority, id, at) = (event.priority, event.id, event.at_ms);
            let line = format!("{subject}: {was:?} to {now:?}, priority {priority}, event {id} at {at}");
            write(Level::Info, &line, &event.attrs);
            Ok(())
        }
    }

    export!(Kept);
}
