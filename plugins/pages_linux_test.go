package plugins

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestReleasePages counts the pages of files that are mapped before and after.
func TestReleasePages(t *testing.T) {
	mapped := func() int {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		all := regexp.MustCompile(`Rss(File|Shmem):\s+(\d+) kB`).FindAllSubmatch(status, -1) // Shmem: the test lies on a tmpfs
		if len(all) != 2 {
			t.Fatalf("no RssFile and RssShmem in %s", status)
		}
		kB := 0
		for _, of := range all {
			n, err := strconv.Atoi(string(of[2]))
			if err != nil {
				t.Fatal(err)
			}
			kB += n
		}
		return kB
	}
	before := mapped()
	releasePages()
	if after := mapped(); after > before*3/4 {
		t.Errorf("%d kB are mapped, and were %d kB", after, before)
	}
}
