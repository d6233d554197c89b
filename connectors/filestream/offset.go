package filestream

import (
	"encoding/json"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// sourcePartition and sourcePosition have the member names of Connect's FileStreamSourceTask, so that offsets which
// a Kafka Connect worker stored are taken over.
type sourcePartition struct {
	Filename string `json:"filename"`
}

type sourcePosition struct {
	Position *int64 `json:"position"`
}

func readPartition(text json.RawMessage) (sourcePartition, error) {
	var p sourcePartition
	if err := connectors.UnmarshalOffset(text, &p); err != nil {
		return p, offsetError(fmt.Errorf("source partition %s: %w", text, err))
	}
	if p.Filename == "" {
		return p, offsetError(fmt.Errorf(`source partition %s: the member "filename" must name a file`, text))
	}
	return p, nil
}

func readPosition(text json.RawMessage) (int64, error) {
	var p sourcePosition
	if err := connectors.UnmarshalOffset(text, &p); err != nil {
		return 0, offsetError(fmt.Errorf("source offset %s: %w", text, err))
	}
	if p.Position == nil || *p.Position < 0 {
		return 0, offsetError(fmt.Errorf(`source offset %s: the member "position" must be a number of bytes, not negative`, text))
	}
	return *p.Position, nil
}

func offsetError(err error) error {
	return &connectors.Error{Op: "read the source offset", Class: connectors.ClassConfig, Err: err,
		Remedy: `source offsets of this connector look like {"partition":{"filename":"/a/file"},"offset":{"position":1024}}`}
}
