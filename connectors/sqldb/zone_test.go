package sqldb

import (
	"testing"
	"time"
)

func TestZone(t *testing.T) {
	for _, name := range []string{"UTC", "Z", "gmt", "Etc/UTC"} {
		if zone, err := Zone(name); err != nil || zone != time.UTC {
			t.Errorf("%s: %v, %v", name, zone, err)
		}
	}
	if zone, err := Zone("Europe/Paris"); err != nil || zone.String() != "Europe/Paris" {
		t.Errorf("Europe/Paris: %v, %v", zone, err)
	}
	for _, name := range []string{"", "Local", "Europe/Atlantis", "../etc/passwd"} {
		if zone, err := Zone(name); err == nil {
			t.Errorf("%q is taken for %v", name, zone)
		}
	}
}
