package plugins

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// releaseStartPages takes the pages of the executable that only its start needed out of this process. The runtime's
// checks and the initialisation of every package in the binary, of which a child serves one connector, leave half of
// the file mapped: 20 MB that count as the child's memory wherever resident memory is watched or bounded. Mappings that
// cannot be written hold what the file holds, so a page that is needed again comes back from the page cache.
func releaseStartPages() {
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
			syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED)
		}
	}
}
