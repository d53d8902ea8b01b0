//! Standard hooks beside mail: an action at each event, the one line for chats.

use standfast_core::plugin::call::{ActionError, ActionOutcome, CallError, ErrorClass, NotifyCall};
use standfast_core::plugin::channel::{FromWorker, ToWorker};

use crate::driver::{Worker, notify, settings};
use crate::servers::{http, http_grant};

fn action(pairs: &[(&str, &str)]) -> NotifyCall {
    let mut call = notify("action");
    call.settings = settings(pairs);
    call.grants.actions.push("move-ip".parse().unwrap());
    call
}

impl Worker {
    /// Delivers an event whose action ends like that, and gives the words that the action was given.
    fn delivers(
        &mut self,
        call: NotifyCall,
        result: Result<ActionOutcome, ActionError>,
    ) -> (Vec<String>, Result<(), CallError>) {
        self.send(&ToWorker::Notify(call));
        let asked = self.act();
        assert_eq!(asked.action.as_str(), "move-ip");
        self.send(&ToWorker::Acted { id: asked.id, result });
        let told = self.until(|message| match message {
            FromWorker::Notified { result, .. } => Some(result.clone()),
            _ => None,
        });
        (asked.args, told)
    }
}

fn ended(code: i32, stderr: &str) -> Result<ActionOutcome, ActionError> {
    Ok(ActionOutcome {
        code: Some(code),
        signal: None,
        stdout: Vec::new(),
        stderr: stderr.into(),
    })
}

#[test]
fn action_has_a_command_run_with_words_of_the_event() {
    let mut worker = Worker::serving(&["action"]);
    let pairs = [
        ("action", "move-ip"),
        ("args", "{type}"),
        ("args", "{name}"),
        ("args", "{now}"),
        ("args", "{priority}"),
    ];
    let (args, told) = worker.delivers(action(&pairs), ended(0, ""));
    assert_eq!(args, ["INSTANCE", "VI_1", "MASTER", "150"]);
    told.unwrap();
    let (args, told) = worker.delivers(action(&pairs[..1]), ended(3, "no route\nmore"));
    assert!(args.is_empty());
    let error = told.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unavailable, "the host tries it again");
    assert_eq!(error.message, "move-ip: exit code 3, it said: no route");
    for (why, class) in [
        (ActionError::Unknown, ErrorClass::Config),
        (ActionError::Denied, ErrorClass::Denied),
        (ActionError::Timeout, ErrorClass::Unavailable),
        (ActionError::Spawn("no such user".into()), ErrorClass::Unavailable),
    ] {
        let (_, told) = worker.delivers(action(&pairs[..1]), Err(why));
        assert_eq!(told.unwrap_err().class, class);
    }
}

#[test]
fn action_needs_a_grant_and_words_that_are_known() {
    let mut worker = Worker::serving(&["action"]);
    let mut denied = action(&[("action", "move-ip")]);
    denied.grants.actions.clear();
    assert_eq!(worker.notify(denied).unwrap_err().class, ErrorClass::Denied);
    for pairs in [&[][..], &[("action", "move-ip"), ("args", "{state}")]] {
        let error = worker.notify(action(pairs)).unwrap_err();
        assert_eq!(error.class, ErrorClass::Config, "{}", error.message);
    }
}

#[test]
fn webhook_writes_one_line_for_chats() {
    let mut worker = Worker::serving(&["webhook"]);
    let (server, requests) = http("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let call = |format| {
        let mut call = notify("webhook");
        call.settings = settings(&[("url", &format!("http://{server}/hook")), ("format", format)]);
        call.grants.http.push(http_grant(server, "/"));
        call
    };
    let mut slack = call("slack");
    slack.event.attrs[1].1 = "<peer> & silence".into();
    worker.notify(slack).unwrap();
    let (_, body) = requests.recv().unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let line = "lb01: vrrp VI_1 BACKUP to MASTER (&lt;peer&gt; &amp; silence)";
    assert_eq!(body, serde_json::json!({ "text": line }));
    assert_eq!(worker.notify(call("xml")).unwrap_err().class, ErrorClass::Config);
}
