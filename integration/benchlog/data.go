package main

import (
	"io/fs"
	"path/filepath"

	"github.com/sluicehub/sluice/integration/worker"
)

// data is how many bytes of segments a hub has, and how many of them are in the last ones of their partitions, which a
// start after a crash reads.
func (b *bench) data(w *worker.Worker) (all, active int64, err error) {
	last := map[string]int64{} // by folder; names come in order
	err = filepath.WalkDir(w.Data(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".log" {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		all += info.Size()
		last[filepath.Dir(path)] = info.Size()
		return nil
	})
	for _, bytes := range last {
		active += bytes
	}
	return all, active, err
}
