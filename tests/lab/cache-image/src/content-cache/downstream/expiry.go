// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"context"
	"errors"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/distribution"
	dcontext "github.com/docker/distribution/context"
	"github.com/opencontainers/go-digest"
)

const (
	shortestSweep = time.Second
	longestSweep  = time.Hour
)

// sweepInterval is how often expired blobs are removed. A request never sees an expired blob, so this is only about
// disk space.
func sweepInterval(ttl time.Duration) time.Duration {
	return min(max(ttl/24, shortestSweep), longestSweep)
}

// sweepForEver removes expired blobs now, and from then on at regular intervals, until ctx ends.
func (c *cache) sweepForEver(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval(c.store.ttl))
	defer ticker.Stop()
	for {
		if err := c.sweep(ctx); err != nil {
			dcontext.GetLogger(ctx).Errorf("could not remove expired blobs: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sweep removes the blobs whose time is over, and the repositories' links to them. Other replicas may do the same on the
// same storage at the same time: what is gone already is no error.
func (c *cache) sweep(ctx context.Context) error {
	expired, err := c.store.expiredBlobs(ctx)
	if err != nil || len(expired) == 0 {
		return err
	}
	// Links go first: the registry lets go of a link only while its blob is there.
	failures := []error{c.store.unlink(ctx, expired)}
	for _, dgst := range expired {
		_, err, _ := c.flights.Do(dgst.String(), func() (interface{}, error) {
			return nil, c.store.removeIfExpired(ctx, dgst)
		})
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func (s *store) expiredBlobs(ctx context.Context) ([]digest.Digest, error) {
	var expired []digest.Digest
	err := s.inner.Blobs().Enumerate(ctx, func(dgst digest.Digest) error {
		_, over, err := s.age(ctx, dgst)
		if err == nil && over {
			expired = append(expired, dgst)
		}
		if isGone(err) {
			return nil
		}
		return err
	})
	if isGone(err) { // nothing was ever stored, or another replica removes while this one lists
		return expired, nil
	}
	return expired, err
}

// unlink removes the links to the blobs from each repository, and what the registry's caches know of them.
func (s *store) unlink(ctx context.Context, blobs []digest.Digest) error {
	repositories, ok := s.inner.(distribution.RepositoryEnumerator)
	if !ok {
		return errors.New("the registry cannot list its repositories")
	}
	err := repositories.Enumerate(ctx, func(text string) error {
		name, err := reference.WithName(text)
		if err != nil {
			return err
		}
		repository, err := s.inner.Repository(ctx, name)
		if err != nil {
			return err
		}
		for _, dgst := range blobs {
			err := repository.Blobs(ctx).Delete(ctx, dgst)
			if err != nil && !errors.Is(err, distribution.ErrBlobUnknown) && !isGone(err) {
				return err
			}
		}
		return nil
	})
	if isGone(err) {
		return nil
	}
	return err
}

// removeIfExpired looks once more before it removes: the blob may have been fetched anew since it was listed.
func (s *store) removeIfExpired(ctx context.Context, dgst digest.Digest) error {
	data, expired, err := s.age(ctx, dgst)
	if isGone(err) || err == nil && !expired {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.remove(ctx, dgst); err != nil {
		return err
	}
	dcontext.GetLoggerWithFields(ctx, map[interface{}]interface{}{"digest": dgst, "bytes": data.Size()}).Info("blob expired")
	return nil
}
