package plugins

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// releasePages takes the pages of the executable out of this process. The runtime's checks and the initialisation of every
// package in the binary, of which a child serves one connector, leave half of the file mapped, and a page that is used
// brings its neighbours: 30 MB that count as the process's memory. Mappings that cannot be written hold what the file
// holds, so a page that is needed again comes back from the page cache. It comes back alone: a kernel that keeps the file in
// huge pages would bring two megabytes for each.
func releasePages() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return // memory is all that is lost
	}
	defer maps.Close()
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	// proc_pid_maps(5): START-END PERMISSIONS OFFSET DEVICE INODE PATH
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var start, end uintptr
		var permissions string
		line := lines.Text()
		if _, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &permissions); err != nil {
			continue
		}
		if !strings.Contains(permissions, "w") && strings.HasSuffix(line, " "+executable) {
			syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_NOHUGEPAGE)
			syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED)
		}
	}
}
