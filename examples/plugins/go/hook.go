// Hook: a line for each event.

package export_standfast_plugin_notify

import (
	"fmt"

	. "go.bytecodealliance.org/pkg/wit/types"
	"wit_component/standfast_plugin_log"
	. "wit_component/standfast_plugin_notify"
)

var states = []string{"INIT", "BACKUP", "MASTER", "FAULT", "STOPPED"}

func Handle(event Event) Result[Unit, Failure] {
	subject := "daemon"
	switch event.Subject.Tag() {
	case Subject_Instance:
		subject = event.Subject.Instance()
	case Subject_Group:
		subject = event.Subject.Group()
	case Subject_Check:
		subject = event.Subject.Check()
	case Subject_Service:
		subject = event.Subject.Service()
	}
	line := fmt.Sprintf("%s is %s", subject, states[event.Now])
	standfast_plugin_log.Write(standfast_plugin_log.Level_Info, line, nil)
	return Ok[Unit, Failure](Unit{})
}
