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
		of := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
		if of == nil {
			t.Fatalf("no RssFile in %s", status)
		}
		kB, err := strconv.Atoi(string(of[1]))
		if err != nil {
			t.Fatal(err)
		}
		return kB
	}
	before := mapped()
	releasePages()
	if after := mapped(); after > before*3/4 {
		t.Errorf("%d kB are mapped, and were %d kB", after, before)
	}
}
