//! Questions and answers, good, cut off and hostile.

use super::*;

const A: u16 = 1;

fn ask(name: &str, kind: u16) -> Vec<u8> {
    question(0x1234, name, kind, true).unwrap()
}

/// An answer to this question with these flags and records (type, data), each owned by the name asked for.
pub(crate) fn reply(question: &[u8], flags: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = question[..2].to_vec();
    let count = u16::try_from(records.len()).unwrap();
    for word in [flags, 1, count, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(&question[HEADER..]);
    for (kind, data) in records {
        bytes.extend([0xc0, 12]);
        let length = u16::try_from(data.len()).unwrap();
        for word in [*kind, 1, 0, 60, length] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(*data);
    }
    bytes
}

#[test]
fn a_question_is_what_rfc_1035_says() {
    let bytes = ask("a.example.", A);
    assert_eq!(bytes[..HEADER], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[HEADER..], *b"\x01a\x07example\x00\x00\x01\x00\x01");
    assert_eq!(ask(".", 6)[HEADER..], *b"\x00\x00\x06\x00\x01");
    for name in ["a..b", ".a", &"x".repeat(64), &"abcdefgh.".repeat(30), "a b", "ü"] {
        assert_eq!(question(1, name, A, true), None, "{name:?}");
    }
}

#[test]
fn records_of_every_type_become_text() {
    let name = b"\x02ns\xc0\x0c";
    let soa = [&name[..], b"\x04mail\xc0\x0c", &7_u32.to_be_bytes(), &[0; 16]].concat();
    for (kind, data, text) in [
        (1, &[192, 0, 2, 1][..], "192.0.2.1"),
        (
            28,
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            "2001:db8::1",
        ),
        (2, name, "ns.example.net"),
        (5, b"\x00", "."),
        (6, &soa, "ns.example.net mail.example.net 7"),
        (15, b"\x00\x0a\x02mx\xc0\x0c", "10 mx.example.net"),
        (
            33,
            b"\x00\x01\x00\x02\x14\x66\x01s\xc0\x0c",
            "1 2 5222 s.example.net",
        ),
        (16, b"\x02v=\x03spf", "v=spf"),
    ] {
        let asked = ask("example.net", kind);
        let other = (5, &b"\x01x\x00"[..]);
        let records = [other, (kind, data)];
        // Another one of the type that was asked for would be an answer, too.
        let records = if kind == 5 { &records[1..] } else { &records[..] };
        let bytes = reply(&asked, 0x8180, records);
        let answer = answer(&asked, &bytes).unwrap();
        assert_eq!(answer.records, [text], "type {kind}");
        assert_eq!((answer.rcode, answer.truncated), (0, false));
    }
}

#[test]
fn case_does_not_matter_and_the_question_does() {
    let asked = ask("Example.net", A);
    let mut bytes = reply(&ask("example.NET", A), 0x8180, &[]);
    assert!(answer(&asked, &bytes).is_ok());
    for flawed in [
        reply(&ask("example.org", A), 0x8180, &[]),
        reply(&ask("Example.net", 28), 0x8180, &[]),
        reply(&asked, 0x0180, &[]),
    ] {
        assert!(answer(&asked, &flawed).is_err());
    }
    bytes[0] = 0;
    assert_eq!(answer(&asked, &bytes), Err("this is an answer to something else"));
    let refused = [&asked[..2], &[0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(answer(&asked, &refused).map(|answer| answer.rcode), Ok(5));
}

#[test]
fn an_answer_cut_off_anywhere_is_refused_unless_it_says_so() {
    let asked = ask("example.net", A);
    let whole = reply(&asked, 0x8180, &[(1, &[192, 0, 2, 1]), (1, &[192, 0, 2, 2])]);
    for end in 0..whole.len() {
        assert!(answer(&asked, &whole[..end]).is_err(), "{end} bytes");
    }
    let cut = reply(&asked, 0x8380, &[(1, &[192, 0, 2, 1]), (1, &[192, 0, 2, 2])]);
    let read = answer(&asked, &cut[..cut.len() - 3]).unwrap();
    assert!(read.truncated);
    assert_eq!(read.records, ["192.0.2.1"]);
}

#[test]
fn hostile_names_end() {
    let asked = ask("example.net", 5);
    let own = u16::try_from(asked.len() + 12).unwrap();
    let itself = (0xc000 | own).to_be_bytes();
    for data in [
        &itself[..],
        &[0xc0, 0xff],
        &[0xff, 0xff],
        &[0x40, 0],
        &[0x80],
        &[63],
        &[],
    ] {
        let bytes = reply(&asked, 0x8180, &[(5, data)]);
        assert!(answer(&asked, &bytes).is_err(), "{data:?}");
    }
    // A chain of pointers, each to the one before it.
    let mut chain = vec![0];
    let begin = own;
    for step in 0..2000_u16 {
        let target = if step == 0 {
            begin
        } else {
            begin + 1 + (step - 1) * 2
        };
        chain.extend((0xc000 | target).to_be_bytes());
    }
    let bytes = reply(&asked, 0x8180, &[(16, &chain), (5, &[0xc0 | 0x0f, 0x00])]);
    assert!(answer(&asked, &bytes).is_err());
    let many = [
        &asked[..2],
        &[0x81, 0x80, 0, 1, 0xff, 0xff, 0, 0, 0, 0],
        &asked[HEADER..],
    ]
    .concat();
    assert!(answer(&asked, &many).is_err());
}

#[test]
fn noise_never_panics() {
    let asked = ask("example.net", 6);
    let good = reply(&asked, 0x8180, &[(6, b"\x02ns\xc0\x0c\x01m\xc0\x0c\0\0\0\x07")]);
    let mut seed = 1_u32;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (seed >> 16) as usize % bytes.len();
            bytes[at] = seed.to_be_bytes()[0];
        }
        drop(answer(&asked, &bytes));
    }
}
