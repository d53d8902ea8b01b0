//! The page of `stub_status`. Pure.

/// Its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Connections now.
    pub(crate) active: u64,
    /// Accepted since the start.
    pub(crate) accepted: u64,
    /// Handled since the start; fewer than accepted when a limit was reached.
    pub(crate) handled: u64,
    /// Requests since the start.
    pub(crate) requests: u64,
    /// Connections that are idle now.
    pub(crate) waiting: u64,
}

impl Page {
    /// From the body of an answer: four lines, the words of which never changed.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let odd = || {
            "this is no page of stub_status; see nginx's `location = /nginx_status { stub_status; }`"
                .to_owned()
        };
        let body = body.get(..body.len().min(PAGE_MAX)).unwrap_or_default();
        let text = str::from_utf8(body).map_err(|_| odd())?;
        let mut lines = text.lines().map(str::trim);
        let mut line = || lines.next().ok_or_else(odd);
        let active = line()?.strip_prefix("Active connections:").ok_or_else(odd)?;
        if line()? != "server accepts handled requests" {
            return Err(odd());
        }
        let counts: Option<Vec<u64>> = line()?.split_whitespace().map(|word| word.parse().ok()).collect();
        let [accepted, handled, requests] = counts.ok_or_else(odd)?[..] else {
            return Err(odd());
        };
        let mut words = line()?.split_whitespace().skip_while(|word| *word != "Waiting:");
        let waiting = words.nth(1).and_then(|word| word.parse().ok()).ok_or_else(odd)?;
        Ok(Self {
            active: active.trim().parse().map_err(|_| odd())?,
            accepted,
            handled,
            requests,
            waiting,
        })
    }

    /// Accepted but not handled since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.accepted.saturating_sub(self.handled)
    }
}

/// The page has about a hundred bytes.
const PAGE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "Active connections: 291 \nserver accepts handled requests\n \
                        16630948 16630946 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n";

    #[test]
    fn the_page_of_the_manual_is_read() {
        let page = Page::parse(PAGE.as_bytes()).unwrap();
        assert_eq!((page.active, page.waiting, page.requests), (291, 106, 31_070_465));
        assert_eq!(page.dropped(), 2);
        assert_eq!(Page::parse(PAGE.replace('\n', "\r\n").as_bytes()), Ok(page));
    }

    #[test]
    fn every_other_page_is_refused() {
        for end in 0..PAGE.len() - "106 \n".len() {
            assert!(Page::parse(&PAGE.as_bytes()[..end]).is_err(), "{end} bytes");
        }
        for (from, to) in [
            ("291", "-1"),
            ("291", "99999999999999999999999"),
            ("16630946", "x"),
            ("31070465", "31070465 7"),
            ("Waiting: 106", "Waiting:"),
            ("accepts", "accepts\u{0}"),
        ] {
            assert!(Page::parse(PAGE.replace(from, to).as_bytes()).is_err(), "{to:?}");
        }
        assert!(Page::parse(&[b'x'; 64 << 10]).is_err());
        assert!(Page::parse(b"<html>404</html>").is_err());
        assert!(Page::parse(&[0xff; 64]).is_err());
    }
}
