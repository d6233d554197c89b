package services

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// watchScript ends one process when the one that started it is gone. It reads
// what the process's owner writes:
//
//	run PID   the process runs as PID
//	ended     it has ended
//	close     nothing is left to watch
//
// The end of its input without "close" means that the owner died, for whatever
// reason. Then it stops the process and its descendants, so that they cannot
// fork while it looks for more, kills them all, and removes the folder $1, if
// it is not empty. A parent death signal would not do: it is bound to the thread that
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
[ -n "$1" ] || exit 0
tries=0
until rm -rf -- "$1" 2>/dev/null || [ $tries -ge 50 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
`

// Watcher sees to it that a process which is started by it ends with this one,
// together with all that it has started, however this one ends: a test that is
// killed leaves nothing behind. It is a running watchScript, in a session of its
// own, so that an interrupt from the terminal does not end it before its owner.
// It watches one process at a time.
type Watcher struct {
	pipe io.WriteCloser
	cmd  *exec.Cmd
}

// NewWatcher starts a watcher. If dir is not empty, that folder is removed
// when this process dies without Close. The caller closes the watcher.
func NewWatcher(dir string) (*Watcher, error) {
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
	return &Watcher{pipe: pipe, cmd: cmd}, nil
}

// Watched is one life of a watched process.
type Watched struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

// Start starts the command. The watcher knows of it before it may run.
func (w *Watcher) Start(cmd *exec.Cmd) (*Watched, error) {
	open, err := gate(cmd)
	if err != nil {
		return nil, err
	}
	defer open.Close()
	defer cmd.ExtraFiles[0].Close()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Watched{cmd: cmd, ended: make(chan struct{})}
	_, told := fmt.Fprintf(w.pipe, "run %d\n", p.PID())
	if told == nil {
		_, told = open.WriteString("go\n")
	}
	open.Close() // without the line the process ends by itself
	go func() {
		p.err = cmd.Wait()
		fmt.Fprintln(w.pipe, "ended") // a watcher that is gone has ended it
		close(p.ended)
	}()
	if told != nil {
		<-p.ended
		return nil, told
	}
	return p, nil
}

// PID is the number of the process.
func (p *Watched) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Watched) Ended() <-chan struct{} { return p.ended }

// Err says, after Ended, how the process ended, as exec.Cmd.Wait does.
func (p *Watched) Err() error { return p.err }

// Signal sends a signal to the process, unless it has ended.
func (p *Watched) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Close ends the watch. The process must have ended before.
func (w *Watcher) Close() error {
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

// gate makes a command wait until its parent has written a line to the file
// that is returned. A parent that dies before it has told the watcher about its
// child writes none.
func gate(cmd *exec.Cmd) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	script := `read -r go <&3 || exit 1; exec 3<&-; exec "$@"`
	cmd.Args = append([]string{"/bin/sh", "-c", script, "gate", cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.ExtraFiles = "/bin/sh", []*os.File{r}
	return w, nil
}
