import { type GoldenFiles, type Group, lines } from "../../golden.ts";

const FILES: GoldenFiles = {
  "composer.json": "{}\n",
  "composer.lock": "{ }\n",
  "public/index.php": "<?php\n",
  "src/App.php": "<?php class App {}\n",
  "docker/php.ini": "memory_limit=1\n",
  "storage/logs/.gitkeep": "",
  "var/cache/": { dir: 0o777 },
};

/** PHP: dependencies from a stage, folders that the server may write. */
export const php: Group = {
  name: "projects/php",
  cases: [
    {
      name: "dependencies from a stage, writable folders for the server",
      dockerfile: lines(
        "FROM busybox AS vendor",
        "WORKDIR /app",
        "COPY composer.json composer.lock ./",
        "RUN mkdir vendor && cp composer.lock vendor/installed.json",
        "FROM busybox",
        "ENV APACHE_DOCUMENT_ROOT=/var/www/html/public",
        "WORKDIR /var/www/html",
        "COPY docker/php.ini $PHP_INI_DIR/conf.d/",
        "COPY --chown=www-data . .",
        "COPY --chown=www-data:www-data --from=vendor /app/vendor/ ./vendor/",
        "RUN chown -R www-data storage && chmod -R g+w storage",
        "STOPSIGNAL SIGWINCH",
        "EXPOSE 80",
        'CMD ["apache2-foreground"]',
      ),
      files: FILES,
    },
    {
      name: "a base with triggers that bring the application in",
      parents: {
        "golden-php-onbuild": lines(
          "FROM busybox",
          "WORKDIR /srv",
          "ONBUILD COPY composer.* ./",
          "ONBUILD RUN cat composer.lock >installed",
          "ONBUILD COPY . .",
        ),
      },
      dockerfile: lines("FROM golden-php-onbuild", "USER www-data"),
      files: FILES,
    },
  ],
};
