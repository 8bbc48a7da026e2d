// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"

	"github.com/docker/distribution"
	"github.com/docker/distribution/configuration"
	dcontext "github.com/docker/distribution/context"
	"github.com/docker/distribution/registry"
	registrymiddleware "github.com/docker/distribution/registry/middleware/registry"
	storagedriver "github.com/docker/distribution/registry/storage/driver"
	storagemiddleware "github.com/docker/distribution/registry/storage/driver/middleware"
	"github.com/docker/distribution/version"
	"github.com/docker/go-metrics"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"content-cache/downstream"
)

// drainVariable is the environment's variable that says whether requests are finished when the registry has to end ("no": as
// registries before distribution 2.7, on which DTR 2.5 and 2.6 are built).
const drainVariable = "CONTENT_CACHE_DRAIN"

// serve takes the place of the registry's own "serve" command: only here are both the parsed configuration and the
// storage driver at hand, of which a registry middleware is told nothing.
func serve(_ *cobra.Command, args []string) {
	config, err := readConfiguration(args)
	if err != nil {
		logrus.Fatalf("configuration error: %v", err)
	}
	logrus.AddHook(signatureHook{})
	if os.Stdout, err = withoutSignatures(os.Stdout); err != nil {
		logrus.Fatalf("access log: %v", err)
	}
	if os.Getenv(drainVariable) == "no" {
		// As before distribution 2.7, which has no such option and takes no notice of it.
		config.HTTP.DrainTimeout = 0
	}
	ctx := dcontext.WithVersion(dcontext.Background(), version.Version)
	cache, err := newRegistry(ctx, config)
	if err != nil {
		logrus.Fatalln(err)
	}
	serveDebug(config)
	if err := cache.ListenAndServe(); err != nil {
		logrus.Fatalln(err)
	}
}

// readConfiguration parses the file named by the first argument or, as in the registry, by the environment.
func readConfiguration(args []string) (*configuration.Configuration, error) {
	path := os.Getenv("REGISTRY_CONFIGURATION_PATH")
	if len(args) > 0 {
		path = args[0]
	}
	if path == "" {
		return nil, errors.New("no configuration file named")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	config, err := configuration.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

// newRegistry builds the registry with the downstream middleware made known to it. The registry reports what is wrong
// with a configuration by a panic; that comes back as an error here.
func newRegistry(ctx context.Context, config *configuration.Configuration) (cache *registry.Registry, err error) {
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case runtime.Error:
			panic(problem)
		default:
			err = fmt.Errorf("configuration error: %v", problem)
		}
	}()
	driver, err := exposeDriver(config)
	if err != nil {
		return nil, err
	}
	newMiddleware := func(ctx context.Context, inner distribution.Namespace, raw map[string]interface{}) (distribution.Namespace, error) {
		positions, err := downstream.ParsePositions(os.Getenv)
		if err != nil {
			return nil, err
		}
		around := downstream.Surroundings{
			Driver:        *driver,
			DeleteEnabled: deleteEnabled(config),
			TTL:           os.Getenv(downstream.TTLVariable),
			Positions:     positions,
		}
		return downstream.New(ctx, inner, around, raw)
	}
	if err := registrymiddleware.Register(downstream.Name, newMiddleware); err != nil {
		return nil, err
	}
	return registry.NewRegistry(ctx, config)
}

// exposeDriver adds a storage middleware that changes nothing and hands out the driver that the registry made, with the
// middlewares of the configuration around it. The driver is there once the registry middlewares are made.
func exposeDriver(config *configuration.Configuration) (*storagedriver.StorageDriver, error) {
	const name = "expose-driver"
	driver := new(storagedriver.StorageDriver)
	expose := func(made storagedriver.StorageDriver, _ map[string]interface{}) (storagedriver.StorageDriver, error) {
		*driver = made
		return made, nil
	}
	if err := storagemiddleware.Register(name, expose); err != nil {
		return nil, err
	}
	if config.Middleware == nil {
		config.Middleware = make(map[string][]configuration.Middleware)
	}
	config.Middleware["storage"] = append(config.Middleware["storage"], configuration.Middleware{Name: name})
	return driver, nil
}

// deleteEnabled reads storage.delete.enabled as the registry does: anything but a true boolean is no.
func deleteEnabled(config *configuration.Configuration) bool {
	enabled, ok := config.Storage["delete"]["enabled"].(bool)
	return ok && enabled
}

// serveDebug starts the registry's debug server (health, expvar, pprof, and metrics if asked for) beside the registry.
func serveDebug(config *configuration.Configuration) {
	debug := config.HTTP.Debug
	if debug.Prometheus.Enabled {
		path := debug.Prometheus.Path
		if path == "" {
			path = "/metrics"
		}
		http.Handle(path, metrics.Handler())
	}
	if debug.Addr == "" {
		return
	}
	go func() {
		logrus.Infof("debug server listening on %s", debug.Addr)
		logrus.Fatalf("debug server: %v", http.ListenAndServe(debug.Addr, nil))
	}()
}
