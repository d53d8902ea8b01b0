// Check: `value` is at most `limit`. Hook: a line for each event.
//
// No generator writes bindings for this language, so the canonical ABI is written out: what lies where follows from
// the order of fields in plugin.wit. Strings are UTF-16, as the language has them.

@external("standfast:plugin/config@0.1.0", "get")
declare function get(key: usize, length: i32, answer: usize): void;
@external("standfast:plugin/log@0.1.0", "write")
declare function write(level: i32, message: usize, length: i32, attrs: usize, count: i32): void;

const INFO = 1;
const WARN = 2;
const FAIL = 2;
const STATES = ["INIT", "BACKUP", "MASTER", "FAULT", "STOPPED"];

// What the two exports return lies here; what `get` answers too.
const RESULT = memory.data(28, 4);
const ANSWER = memory.data(12, 4);

let number: i64 = 0;

export function run(): usize {
    memory.fill(RESULT, 0, 28);
    if (!read("value")) return RESULT;
    const value = number;
    if (!read("limit")) return RESULT;
    const limit = number;
    // result: tag at 0, then the verdict: status at 4, message at 8, weight at 16, next-ms at 20.
    if (value > limit) {
        say(WARN, `value ${value} is over limit ${limit}`);
        store<u8>(RESULT, FAIL, 4);
    }
    put(RESULT + 8, `value ${value}, limit ${limit}`);
    return RESULT;
}

export function handle(
    id: u64, subject: i32, name: usize, length: i32, was: i32, now: i32, priority: i32, at: u64, attrs: usize, count: i32,
): usize {
    const who = subject == 4 ? "daemon" : text(name, length);
    say(INFO, `${who} is ${STATES[now]}`);
    memory.fill(RESULT, 0, 28);
    return RESULT;
}

// The host's memory for texts that it hands over.
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
    return old ? heap.realloc(old, size) : heap.alloc(size);
}

// Reads a setting into `number`; false: `RESULT` holds the failure.
function read(key: string): bool {
    get(changetype<usize>(key), key.length, ANSWER);
    const found = load<u8>(ANSWER) ? text(load<usize>(ANSWER, 4), load<i32>(ANSWER, 8)) : "";
    const digits = found.startsWith("-") ? found.substring(1) : found;
    let good = digits.length > 0 && digits.length < 19;
    for (let i = 0; i < digits.length; i++) {
        const digit = digits.charCodeAt(i);
        if (digit < 0x30 || digit > 0x39) good = false;
    }
    if (good) {
        number = I64.parseInt(found);
    } else {
        // result: tag at 0, then the failure: case at 4 (0 is `config`), text at 8.
        store<u8>(RESULT, 1);
        put(RESULT + 8, "`" + key + "` must be a whole number; write: " + key + " 10");
    }
    return good;
}

function say(level: i32, message: string): void {
    write(level, changetype<usize>(message), message.length, 0, 0);
}

function text(at: usize, length: i32): string {
    return String.UTF16.decodeUnsafe(at, <usize>length << 1);
}

function put(at: usize, text: string): void {
    store<usize>(at, changetype<usize>(text));
    store<i32>(at, text.length, 4);
}

function stop(message: usize, file: usize, line: u32, column: u32): void {
    unreachable();
}
