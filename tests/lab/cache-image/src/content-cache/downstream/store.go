// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/distribution"
	dcontext "github.com/docker/distribution/context"
	storagedriver "github.com/docker/distribution/registry/storage/driver"
	"github.com/opencontainers/go-digest"
)

// storageError is a failure of the cache's own storage, for which no upstream is to blame.
type storageError struct{ error }

func (e storageError) Unwrap() error { return e.error }

// store is the registry's own blob storage. A blob's age is the age of its data file, so that nothing else has to be
// remembered over a restart, or agreed upon with other replicas on the same storage.
type store struct {
	inner  distribution.Namespace
	driver storagedriver.StorageDriver
	ttl    time.Duration // zero: blobs are kept for ever
	// sliding is whether a blob's time begins anew with each pull. A file beside its data then has the last one.
	sliding bool
	now     func() time.Time
}

// presence is what the store has of a blob.
type presence int

const (
	absent   presence = iota // not stored, or it outlived its time
	unlinked                 // stored for another repository, or just being stored for this one
	ready                    // can be served from the repository
)

// look tells what the store has of a blob, as seen from a repository. Only the driver is asked: the registry's caches of
// descriptors may remember blobs that another replica removed.
func (s *store) look(ctx context.Context, name reference.Named, dgst digest.Digest) (presence, error) {
	repository, err := s.inner.Repository(ctx, name)
	if err != nil {
		return absent, storageError{err}
	}
	found, canonical := ready, dgst
	linked, err := repository.Blobs(ctx).Stat(ctx, dgst)
	switch {
	case err == nil:
		canonical = linked.Digest
	// A link's file is there, and empty, before its content is.
	case errors.Is(err, distribution.ErrBlobUnknown), errors.Is(err, digest.ErrDigestInvalidFormat):
		found = unlinked
	default:
		return absent, storageError{err}
	}
	_, expired, err := s.age(ctx, canonical)
	if isGone(err) || err == nil && expired {
		return absent, nil
	}
	if err != nil {
		return absent, storageError{err}
	}
	return found, nil
}

// age tells of a blob's data whether its time is over.
func (s *store) age(ctx context.Context, dgst digest.Digest) (data storagedriver.FileInfo, expired bool, err error) {
	data, err = s.driver.Stat(ctx, dataPath(dgst))
	if err != nil || s.ttl == 0 || s.now().Sub(data.ModTime()) < s.ttl {
		return data, false, err
	}
	if !s.sliding {
		return data, true, nil
	}
	text, err := s.driver.GetContent(ctx, pulledPath(dgst))
	if isGone(err) {
		return data, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	pulled, err := time.Parse(time.RFC3339Nano, string(text))
	// What cannot be read was cut off by a crash.
	return data, err != nil || s.now().Sub(pulled) >= s.ttl, nil
}

// renew notes that a blob was pulled now. What was removed meanwhile stays removed.
func (s *store) renew(ctx context.Context, dgst digest.Digest) error {
	_, err := s.driver.Stat(ctx, dataPath(dgst))
	if isGone(err) {
		return nil
	}
	if err == nil {
		err = s.driver.PutContent(ctx, pulledPath(dgst), []byte(s.now().UTC().Format(time.RFC3339Nano)))
	}
	if err != nil {
		return storageError{err}
	}
	return nil
}

// keep stores what body yields if its digest is dgst, and nothing otherwise. It returns the number of bytes stored.
func (s *store) keep(ctx context.Context, name reference.Named, dgst digest.Digest, body io.Reader) (int64, error) {
	repository, err := s.inner.Repository(ctx, name)
	if err != nil {
		return 0, storageError{err}
	}
	writer, err := repository.Blobs(ctx).Create(ctx)
	if err != nil {
		return 0, storageError{err}
	}
	verifier := dgst.Verifier()
	source := &source{Reader: io.TeeReader(body, verifier)}
	size, err := io.Copy(writer, source)
	switch {
	case source.err != nil:
		err = source.err
	case err != nil:
		err = storageError{err}
	case !verifier.Verified():
		err = fmt.Errorf("sent %d bytes that are not %s", size, dgst)
	default:
		if _, err := writer.Commit(ctx, distribution.Descriptor{Digest: dgst, Size: size}); err != nil {
			return 0, storageError{err}
		}
		return size, nil
	}
	if err := writer.Cancel(ctx); err != nil {
		dcontext.GetLogger(ctx).Warnf("could not remove an upload: %v", err)
	}
	return 0, err
}

// remove takes a blob's data away. It is no error if it is gone: another replica may have been quicker.
func (s *store) remove(ctx context.Context, dgst digest.Digest) error {
	err := s.driver.Delete(ctx, path.Dir(dataPath(dgst)))
	if err != nil && !isGone(err) {
		return storageError{err}
	}
	return nil
}

// link makes a stored blob known in one more repository, as the registry does for a cross-repository mount.
func (s *store) link(ctx context.Context, name reference.Named, dgst digest.Digest) error {
	data, err := s.driver.Stat(ctx, dataPath(dgst))
	if err != nil {
		return storageError{err}
	}
	repository, err := s.inner.Repository(ctx, name)
	if err != nil {
		return storageError{err}
	}
	from, err := reference.WithDigest(name, dgst)
	if err != nil {
		return err
	}
	blob := distribution.Descriptor{Digest: dgst, Size: data.Size()}
	writer, err := repository.Blobs(ctx).Create(ctx, mount{from: from, blob: blob})
	var mounted distribution.ErrBlobMounted
	if errors.As(err, &mounted) {
		return nil
	}
	if err != nil {
		return storageError{err}
	}
	// The registry answers a mount that failed by beginning an upload.
	return storageError{errors.Join(fmt.Errorf("could not link %s into %s", dgst, name), writer.Cancel(ctx))}
}

// mount is the option of a cross-repository mount whose blob is known to exist.
type mount struct {
	from reference.Canonical
	blob distribution.Descriptor
}

func (m mount) Apply(target interface{}) error {
	options, ok := target.(*distribution.CreateOptions)
	if !ok {
		return fmt.Errorf("unexpected options %T", target)
	}
	options.Mount.ShouldMount = true
	options.Mount.From = m.from
	options.Mount.Stat = &m.blob
	return nil
}

// source remembers a failure to read, to tell it from a failure to write in io.Copy.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// dataPath is where the registry's storage layout, version 2, has a blob's data.
func dataPath(dgst digest.Digest) string {
	hex := dgst.Encoded()
	return path.Join("/docker/registry/v2/blobs", dgst.Algorithm().String(), hex[:2], hex, "data")
}

// pulledPath is where the moment of a blob's last pull is, which goes with its data.
func pulledPath(dgst digest.Digest) string {
	return path.Join(path.Dir(dataPath(dgst)), "pulled")
}

func isGone(err error) bool {
	var notFound storagedriver.PathNotFoundError
	return errors.As(err, &notFound)
}
