package main

import (
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sluicehub/sluice/integration/worker"
)

// data is how many bytes of segments a hub has, and how many of them are in the last segments of the topic that was written
// to since the last orderly end: what a start after a crash reads.
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
	for folder, bytes := range last {
		if strings.HasPrefix(filepath.Base(folder), fill+"-") {
			active += bytes
		}
	}
	return all, active, err
}
