// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type GoldenFiles, type Group, lines } from "../../golden.ts";

const FILES: GoldenFiles = {
  "pom.xml": "<project/>\n",
  mvnw: { text: "#!/bin/sh\nmkdir -p target && cat pom.xml src/*.java >target/app.jar\n", mode: 0o755 },
  ".mvn/wrapper/maven-wrapper.properties": "version=3\n",
  "src/App.java": "class App {}\n",
  "src/Util.java": "class Util {}\n",
};

/** Java: a wrapper that builds, and an archive taken apart into layers. */
export const java: Group = {
  name: "projects/java",
  cases: [
    {
      name: "the wrapper builds, and the archive alone is copied",
      dockerfile: lines(
        "FROM busybox AS build",
        "WORKDIR /build",
        "COPY --chmod=0755 mvnw mvnw",
        "COPY .mvn/ .mvn/",
        "COPY pom.xml .",
        "COPY ./src src/",
        "RUN ./mvnw package -DskipTests",
        "FROM busybox",
        "ARG JAR=/build/target/*.jar",
        "COPY --from=build ${JAR} app.jar",
        'ENTRYPOINT ["java", "-jar", "/app.jar"]',
      ),
      files: FILES,
    },
    {
      name: "an archive taken apart, a layer for each part",
      dockerfile: lines(
        "FROM busybox AS package",
        "WORKDIR /app/target/extracted",
        "RUN mkdir -p dependencies/lib spring-boot-loader/org application/BOOT-INF && \\",
        "    echo d >dependencies/lib/d.jar && echo l >spring-boot-loader/org/L.class && echo a >application/BOOT-INF/A.class",
        "FROM busybox AS final",
        "ARG UID=10001",
        'RUN adduser -D -H -u "${UID}" appuser',
        "USER appuser",
        "COPY --from=package app/target/extracted/dependencies/ ./",
        "COPY --from=package app/target/extracted/spring-boot-loader/ ./",
        "COPY --from=package app/target/extracted/application/ ./",
        "EXPOSE 8080",
        'ENTRYPOINT [ "java", "org.springframework.boot.loader.launch.JarLauncher" ]',
      ),
    },
    {
      name: "options in a variable that the shell form expands when the container starts",
      dockerfile: lines(
        "FROM busybox",
        'ENV JAVA_OPTS="-Xmx256m -Dfile.encoding=UTF-8"',
        "COPY src/*.java /opt/app/",
        "ENTRYPOINT exec java $JAVA_OPTS -jar /opt/app/app.jar",
      ),
      files: FILES,
    },
  ],
};
