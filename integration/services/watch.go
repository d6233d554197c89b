package services

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// watchScript ends one server when the process that started it is gone. It
// reads what the server's owner writes:
//
//	run PID   the server runs as PID
//	ended     it has ended
//	close     nothing is left to watch
//
// The end of its input without "close" means that the owner died, for whatever
// reason. Then it stops the server and its descendants, so that they cannot
// fork while it looks for more, kills them all, and removes the server's folder
// ($1). A parent death signal would not do: it is bound to the thread that
// forked, and reaches no grandchild.
const watchScript = `
trap '' INT TERM HUP QUIT
pid=
while read -r word arg; do
  case $word in
    run) pid=$arg ;;
    ended) pid= ;;
    close) exit 0 ;;
  esac
done
all=$pid todo=$pid
while [ -n "$todo" ]; do
  kill -STOP $todo 2>/dev/null
  next=
  for status in /proc/[0-9]*/status; do
    parent=
    while read -r key value _; do
      if [ "$key" = PPid: ]; then parent=$value; break; fi
    done 2>/dev/null <"$status"
    case " $todo " in
      *" $parent "*) p=${status#/proc/}; next="$next ${p%/status}" ;;
    esac
  done
  todo=${next# }
  all="$all$next"
done
[ -z "$all" ] || kill -KILL $all 2>/dev/null
tries=0
until rm -rf -- "$1" 2>/dev/null || [ $tries -ge 50 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
`

// watcher is a running watchScript. Its process is in a session of its own, so
// that an interrupt from the terminal does not end it before its owner.
type watcher struct {
	pipe io.WriteCloser
	cmd  *exec.Cmd
}

func startWatcher(dir string) (*watcher, error) {
	cmd := exec.Command("/bin/sh", "-c", watchScript, "watch", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("services: watcher: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("services: watcher: %w", err)
	}
	return &watcher{pipe: pipe, cmd: cmd}, nil
}

func (w *watcher) runs(pid int) error {
	_, err := fmt.Fprintf(w.pipe, "run %d\n", pid)
	return err
}

func (w *watcher) ended() error {
	_, err := fmt.Fprintln(w.pipe, "ended")
	return err
}

func (w *watcher) close() error {
	_, err := fmt.Fprintln(w.pipe, "close")
	w.pipe.Close()
	if werr := w.cmd.Wait(); err == nil {
		err = werr
	}
	if err != nil {
		return fmt.Errorf("services: watcher: %w", err)
	}
	return nil
}

// gate runs a command only after its parent has written a line to descriptor
// 3. A parent that dies before it has told the watcher about its child writes
// none.
func gate(args []string) (*exec.Cmd, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	script := `read -r go <&3 || exit 1; exec 3<&-; exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "gate"}, args...)...)
	cmd.ExtraFiles = []*os.File{r}
	return cmd, w, nil
}
