//! What the check makes of answers, good and bad.

use super::*;

const REPLICA: &str =
    "+PONG\r\n*5\r\n$5\r\nslave\r\n$9\r\n192.0.2.7\r\n:6379\r\n$9\r\nconnected\r\n:3167038\r\n+OK\r\n";

fn wanted(role: Option<Role>) -> Wanted {
    Wanted {
        role,
        ..Wanted::default()
    }
}

fn says(answer: &str, wanted: Wanted) -> (Status, String) {
    judge(answer.as_bytes(), wanted).unwrap()
}

#[test]
fn a_pong_is_enough_unless_a_role_is_wanted() {
    assert_eq!(
        says("+PONG\r\n+OK\r\n", wanted(None)),
        (Status::Pass, "PONG".into())
    );
    let master = "+PONG\r\n*3\r\n$6\r\nmaster\r\n:3129659\r\n*0\r\n+OK\r\n";
    assert_eq!(says(master, wanted(Some(Role::Master))).0, Status::Pass);
    let (status, message) = says(master, wanted(Some(Role::Replica)));
    assert_eq!(
        (status, message.as_str()),
        (Status::Fail, "it is a master, a replica is wanted")
    );
    assert_eq!(says("+PONG\r\n", wanted(Some(Role::Master))).0, Status::Fail);
}

#[test]
fn a_replica_must_have_its_link() {
    let replica = wanted(Some(Role::Replica));
    assert_eq!(
        says(REPLICA, replica),
        (Status::Pass, "replica of 192.0.2.7".into())
    );
    let (status, message) = says(&REPLICA.replace("connected", "connectin"), replica);
    assert_eq!(status, Status::Fail);
    assert!(message.contains("\"connectin\""), "{message}");
    assert_eq!(says(REPLICA, wanted(Some(Role::Master))).0, Status::Fail);
    let sentinel = "+PONG\r\n*2\r\n$8\r\nsentinel\r\n*0\r\n";
    assert_eq!(says(sentinel, replica).0, Status::Fail);
}

#[test]
fn loading_fails_or_warns() {
    let loading = "-LOADING Redis is loading the dataset in memory\r\n+OK\r\n";
    assert_eq!(says(loading, wanted(None)).0, Status::Fail);
    let patient = Wanted {
        loading: true,
        ..wanted(None)
    };
    assert_eq!(says(loading, patient).0, Status::Warn);
}

#[test]
fn a_missing_or_wrong_password_is_a_fault_of_the_configuration() {
    for answer in [
        "-NOAUTH Authentication required.\r\n",
        "-WRONGPASS invalid username-password pair\r\n",
    ] {
        let failure = judge(answer.as_bytes(), wanted(None)).unwrap_err();
        assert!(
            matches!(&failure, Failure::Config(why) if why.contains("password-file")),
            "{failure:?}"
        );
    }
    let auth = Wanted {
        auth: true,
        ..wanted(None)
    };
    assert_eq!(says("+OK\r\n+PONG\r\n+OK\r\n", auth).0, Status::Pass);
    assert_eq!(says("+PONG\r\n", auth).0, Status::Fail);
}

#[test]
fn a_server_of_another_kind_fails() {
    for answer in [
        "",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "+HELLO\r\n",
        ":1\r\n",
        "$-1\r\n",
    ] {
        assert_eq!(says(answer, wanted(None)).0, Status::Fail, "{answer:?}");
    }
    let long = format!("-ERR {}\r\n", "x".repeat(1000));
    assert!(says(&long, wanted(None)).1.len() <= 120);
}

#[test]
fn a_question_ends_with_quit() {
    let ask = question(Some(b"pw"), Some("probe"), true);
    let text = String::from_utf8(ask).unwrap();
    assert!(
        text.starts_with("*3\r\n$4\r\nAUTH\r\n$5\r\nprobe\r\n$2\r\npw\r\n*1\r\n$4\r\nPING\r\n"),
        "{text}"
    );
    assert!(text.ends_with("$4\r\nROLE\r\n*1\r\n$4\r\nQUIT\r\n"), "{text}");
    assert!(question(None, Some("probe"), false).starts_with(b"*1\r\n$4\r\nPING\r\n"));
}
