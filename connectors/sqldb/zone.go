package sqldb

import (
	"errors"
	"strings"
	"time"
	_ "time/tzdata" // the machine may have no time zones of its own
)

// Zone returns the time zone of a name of the IANA's, or of Java's for UTC; for UTC it is time.UTC itself.
func Zone(name string) (*time.Location, error) {
	switch strings.ToUpper(name) {
	case "UTC", "Z", "GMT", "ETC/UTC", "UT":
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, errors.New("must be the name of a time zone, such as UTC or Europe/Paris")
	}
	return zone, nil
}

// CheckZone is the check of a key that holds a zone.
func CheckZone(name string) error {
	_, err := Zone(name)
	return err
}
