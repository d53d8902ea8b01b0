// Check: `value` is at most `limit`.

package export_standfast_plugin_check

import (
	"fmt"
	"strconv"

	. "go.bytecodealliance.org/pkg/wit/types"
	"wit_component/standfast_plugin_config"
	"wit_component/standfast_plugin_log"
	. "wit_component/standfast_plugin_types"
)

func Run() Result[Verdict, Failure] {
	value, err := number("value")
	if err != nil {
		return Err[Verdict](MakeFailureConfig(err.Error()))
	}
	limit, err := number("limit")
	if err != nil {
		return Err[Verdict](MakeFailureConfig(err.Error()))
	}
	status := Status_Pass
	if value > limit {
		line := fmt.Sprintf("value %d is over limit %d", value, limit)
		standfast_plugin_log.Write(standfast_plugin_log.Level_Warn, line, nil)
		status = Status_Fail
	}
	return Ok[Verdict, Failure](Verdict{
		Status:  status,
		Message: fmt.Sprintf("value %d, limit %d", value, limit),
		Weight:  None[int16](),
		NextMs:  None[uint32](),
	})
}

func number(key string) (int64, error) {
	number, err := strconv.ParseInt(standfast_plugin_config.Get(key).SomeOr(""), 10, 64)
	if err != nil {
		err = fmt.Errorf("`%s` must be a whole number; write: %s 10", key, key)
	}
	return number, err
}
