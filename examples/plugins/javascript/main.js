// Check: `value` is at most `limit`. Hook: a line for each event.

import { get } from "standfast:plugin/config@0.1.0";
import { write } from "standfast:plugin/log@0.1.0";

export const check = {
    run() {
        const [value, limit] = [number("value"), number("limit")];
        const status = value <= limit ? "pass" : "fail";
        if (status === "fail") {
            write("warn", `value ${value} is over limit ${limit}`, []);
        }
        return { status, message: `value ${value}, limit ${limit}`, weight: null, nextMs: null };
    },
};

export const notify = {
    handle(event) {
        const subject = event.subject.tag === "daemon" ? "daemon" : event.subject.val;
        write("info", `${subject} is ${event.now.toUpperCase()}`, []);
    },
};

function number(key) {
    const text = get(key);
    if (!/^-?\d+$/.test(text ?? "")) {
        throw { tag: "config", val: `\`${key}\` must be a whole number; write: ${key} 10` };
    }
    return Number(text);
}
